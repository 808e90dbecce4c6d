"""People's decisions, joined: their store, and what follows from them."""

from longhaul.activities.version_approval import VersionApproval
from longhaul.adapters.postgres.approved_samples import ApprovedSamples
from longhaul.adapters.postgres.cases import PostgresCases
from longhaul.adapters.postgres.decisions import PostgresDecisions
from longhaul.adapters.postgres.manual_mappings import PostgresMappingShelf
from longhaul.adapters.postgres.rule_edits import PostgresRuleShelf
from longhaul.adapters.postgres.rule_suites import PostgresRuleSuites
from longhaul.adapters.sources.evidence import for_queries
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.decisions import Kind
from longhaul.core.job_types import Resources
from longhaul.core.ports import RegexDialects
from longhaul.core.sources import SourceAccess
from longhaul.services.decisions import Decisions
from longhaul.services.manual_mappings import ManualMappings
from longhaul.services.rule_editing import RuleEditing
from longhaul.services.rule_suites import RuleSuites


def build_decisions() -> Decisions:
    """Build the decisions."""
    return Decisions(
        PostgresDecisions(), consequences={Kind.SAMPLES: ApprovedSamples(PostgresCases())}
    )


def approve_version(resources: Resources) -> VersionApproval:
    """Build the step action."""
    return VersionApproval(build_decisions())


def build_rule_editing(regexes: RegexDialects) -> RuleEditing:
    """Build the rule editing."""
    return RuleEditing(shelf=PostgresRuleShelf(), decisions=PostgresDecisions(), regexes=regexes)


def build_manual_mappings(access: SourceAccess) -> ManualMappings:
    """Build manual mappings; a person waits while the source is read."""
    return ManualMappings(
        shelf=PostgresMappingShelf(),
        decisions=PostgresDecisions(),
        sources=SourceSessions(for_queries(access)),
    )


def build_rule_suites(regexes: RegexDialects) -> RuleSuites:
    """Build import and export of suites."""
    return RuleSuites(store=PostgresRuleSuites(), decisions=PostgresDecisions(), regexes=regexes)
