"""What a call costs, from the price list in genai-prices; no network."""

from decimal import Decimal

from genai_prices import calc_price
from genai_prices.types import AbstractUsage


def cost_of(usage: AbstractUsage, provider: str, *models: str | None) -> Decimal | None:
    """The price in US dollars for the first name in the list, or None."""
    for model in filter(None, models):
        try:
            return calc_price(usage, model, provider_id=provider).total_price
        except (LookupError, ValueError):  # unknown, or more cached tokens than there were
            continue
    return None
