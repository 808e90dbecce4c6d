"""Schedule A.1: first-lien mortgages."""

from dataclasses import dataclass

from longhaul.adapters.sample.dice import Dice
from longhaul.adapters.sample.loan import (
    LARGEST_BALANCE_OF_NEGATIVE_AMORTIZATION,
    Adjustment,
    Cells,
    Fate,
    Life,
    Loan,
    amortised,
    draw_adjusted_rate,
    draw_life,
    draw_modification,
    draw_place,
    draw_score,
    draw_value,
    instalment,
    interest,
)
from longhaul.adapters.sample.notation import (
    REPORTING_MONTH,
    day_text,
    flag_text,
    fraction_text,
    percent_text,
    ratio,
)
from longhaul.adapters.sample.servicing import shared_cells


@dataclass(frozen=True, slots=True)
class _Product:
    code: str
    term: int
    first_period: int = 0

    @property
    def is_option(self) -> bool:
        return self.code == "06"


_THIRTY_YEARS, _FIFTEEN_YEARS = _Product("01", 360), _Product("02", 180)
_OPTION = _Product("06", 360, 12)
_PRODUCTS = (
    *(_THIRTY_YEARS,) * 13,
    *(_FIFTEEN_YEARS,) * 4,
    _Product("03", 360, 60),
    _Product("04", 360, 84),
    _Product("05", 360, 120),
    _OPTION,
)

_BALLOON_TERM = 120

# Above 80 % of the home's value the rest must be insured.
_INSURED_ABOVE = 80_00
_NEGATIVE_LIMIT = round(100_000 * LARGEST_BALANCE_OF_NEGATIVE_AMORTIZATION)


def first_lien_cells(dice: Dice, number: str) -> dict[str, str | None]:
    """One row of schedule A.1, by column."""
    product = dice.pick(_PRODUCTS)
    loan = _draw(dice, number, product)
    cells = shared_cells(dice, loan)
    cells.update(_origination(dice, loan, product))
    cells.update(_insurance(dice, loan))
    cells.update(_adjustable(loan, product))
    cells.update(_ending(dice, loan))
    cells.update(_refreshed(dice, loan))
    cells.update(_modification(dice, loan))
    return cells


def _draw(dice: Dice, number: str, product: _Product) -> Loan:
    life = draw_life(dice)
    state, zip_code = draw_place(dice)
    value = draw_value(dice)
    amount = int(value * (0.4 + 0.57 * max(dice.random(), dice.random()))) // 100 * 100
    ltv = ratio(amount, value)
    rate = 125 * dice.between(20, 60)
    moves = _draw_adjustment(dice, rate, product)
    current_rate = draw_adjusted_rate(dice, rate, life, moves) if moves else rate
    change = draw_modification(dice, life, current_rate)
    current_rate = change.rate_after if change else current_rate
    may_defer = not product.is_option and dice.chance(0.05)
    interest_only = dice.pick((60, 120)) if may_defer else 0
    balance = 0 if life.has_ended else _balance(amount, rate, life, product, interest_only)
    if life.has_ended or life.paid < interest_only:
        payment = interest(balance, current_rate)
    else:
        payment = instalment(balance, current_rate, product.term - life.paid)
    return Loan(
        number=number,
        state=state,
        zip_code=zip_code,
        life=life,
        term=product.term,
        value=value,
        amount=amount,
        combined_ltv=ltv if dice.chance(0.8) else ltv + dice.between(1, 15_00),
        balance=balance,
        rate=rate,
        current_rate=current_rate,
        payment=payment,
        score=draw_score(dice),
        lien="1",
        interest_only=interest_only,
        adjustment=moves,
        modification=change,
    )


def _balance(amount: int, rate: int, life: Life, product: _Product, interest_only: int) -> int:
    if product.is_option:
        growth = min(1 + 0.0008 * life.paid, LARGEST_BALANCE_OF_NEGATIVE_AMORTIZATION)
        return int(amount * growth)
    repaid = max(life.paid - interest_only, 0)
    return amortised(amount, rate, product.term - interest_only, repaid)


def _draw_adjustment(dice: Dice, rate: int, product: _Product) -> Adjustment | None:
    if not product.first_period:
        return None
    return Adjustment(
        first_period=product.first_period,
        reset_period=dice.pick((6, 12, 12, 12)),
        index=dice.pick(("01", "02", "02", "03")),
        margin=25 * dice.between(70, 120),
        step=dice.pick((1_000, 2_000, 2_000)),
        ceiling=rate + dice.pick((5_000, 6_000)),
    )


def _origination(dice: Dice, loan: Loan, product: _Product) -> Cells:
    is_balloon = loan.adjustment is None and loan.life.age < _BALLOON_TERM and dice.chance(0.02)
    if loan.interest_only:
        first_payment = interest(loan.amount, loan.rate)
    else:
        first_payment = instalment(loan.amount, loan.rate, loan.term)
    return {
        "orig_ltv_pct": percent_text(ratio(loan.amount, loan.value)),
        "prod_typ_cd": product.code,
        "balln_flg": flag_text(is_balloon),
        "balln_term": str(_BALLOON_TERM) if is_balloon else None,
        "int_only_term": str(loan.interest_only),
        "orig_pi_amt": None if dice.chance(0.1) else str(first_payment),
        "invstr_typ_cd": dice.pick("1112223455555556"),
    }


def _insurance(dice: Dice, loan: Loan) -> Cells:
    is_insured = ratio(loan.amount, loan.value) > _INSURED_ABOVE
    coverage = dice.pick((12_00, 25_00, 30_00, 35_00)) if is_insured else 0
    return {
        "ln_typ_cd": dice.pick("12444") if is_insured else "3",
        "mi_cov_pct": percent_text(coverage),
        "mi_co_cd": dice.pick("123456") if is_insured else "0",
        "crd_enh_amt": str(loan.balance * coverage // 100_00),
    }


def _adjustable(loan: Loan, product: _Product) -> Cells:
    moves = loan.adjustment
    is_option = product.is_option
    return {
        "arm_init_rt": fraction_text(loan.rate if moves else 0),
        "arm_rst_prd": str(moves.reset_period) if moves else "0",
        "arm_neg_am_lmt_pct": fraction_text(_NEGATIVE_LIMIT if is_option else 0),
        "arm_prd_pay_cap": fraction_text(7_500 if is_option else 0),
        "arm_prd_pay_flr": fraction_text(7_500 if is_option else 0),
        "opt_arm_flg": flag_text(is_option),
        "opt_arm_cur_flg": flag_text(is_option and loan.modification is None),
        "neg_am_flg": flag_text(is_option),
    }


def _ending(dice: Dice, loan: Loan) -> Cells:
    life = loan.life
    is_wanted_back = life.late > 0 and dice.chance(0.1)
    asked = day_text(REPORTING_MONTH - dice.between(0, 11), dice.between(1, 28))
    ended = "3" if life.fate is Fate.LOST else dice.pick("112")
    return {
        "pif_cd": ended if life.has_ended else "0",
        "repur_typ_cd": dice.pick("123") if is_wanted_back else "0",
        "repur_rqst_dt": asked if is_wanted_back else None,
    }


def _refreshed(dice: Dice, loan: Loan) -> Cells:
    housing = dice.between(10, 33)
    was_asked = dice.chance(0.4)
    return {
        "rfrsh_dti_fe_pct": str(housing) if was_asked else None,
        "rfrsh_dti_be_pct": str(housing + dice.between(1, 16)) if was_asked else None,
        "escrw_cur_amt": str(loan.value * dice.between(10, 25) // 12_000),
    }


def _modification(dice: Dice, loan: Loan) -> Cells:
    change = loan.modification
    code = change.code if change else "0"
    return {
        "rt_bef_mod": fraction_text(change.rate_before) if change else None,
        "rt_aft_mod": fraction_text(change.rate_after) if change else None,
        "rfrsh_cltv_pct": percent_text(ratio(loan.balance, loan.value)) if change else None,
        "dlq_cap_amt": str(loan.amount // 100) if code in "125" and change else "0",
        "dfrd_amt": str(loan.balance // 10) if code == "3" else "0",
        "prin_wrtdwn_amt": str(loan.amount // 20) if code == "4" else "0",
        "step_mod_flg": flag_text(code == "1" and dice.chance(0.3)),
        "tdr_flg": flag_text(change is not None and dice.chance(0.6)),
        "remod_flg": flag_text(change is not None and dice.chance(0.1)),
    }
