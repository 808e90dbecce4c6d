"""Schedule B.1: home equity lines and loans."""

from dataclasses import dataclass

from longhaul.adapters.sample.dice import Dice
from longhaul.adapters.sample.loan import (
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
    percent_text,
    ratio,
)
from longhaul.adapters.sample.servicing import shared_cells

_DOUBTFUL_AFTER = 3


@dataclass(frozen=True, slots=True)
class _Credit:
    """What was agreed.

    Attributes:
        draw_period: Months in which the borrower may draw; zero for a closed-end loan.
        other_liens: The other loans on the home, in hundredths of a percent of its value.
    """

    value: int
    commitment: int
    term: int
    draw_period: int
    other_liens: int

    @property
    def is_line(self) -> bool:
        return self.draw_period > 0


def home_equity_cells(dice: Dice, number: str) -> dict[str, str | None]:
    """One row of schedule B.1, by column."""
    life = draw_life(dice)
    credit = _draw_credit(dice)
    limit = 0 if life.has_ended else credit.commitment * dice.pick((100, 100, 100, 80)) // 100
    loan = _draw(dice, number, life, credit, limit)
    cells = shared_cells(dice, loan)
    cells.update(_agreement(dice, loan, credit))
    cells.update(_line(dice, loan, credit, limit))
    cells.update(_status(dice, loan, credit))
    cells.update(_modification(dice, loan))
    return cells


def _draw_credit(dice: Dice) -> _Credit:
    value = draw_value(dice)
    term, draw_period = dice.pick(((360, 120), (360, 120), (180, 60), (180, 0)))
    return _Credit(
        value=value,
        commitment=value * dice.between(5, 30) // 10_000 * 100,
        term=term,
        draw_period=draw_period,
        other_liens=dice.between(20_00, 60_00) if dice.chance(0.85) else 0,
    )


def _draw(dice: Dice, number: str, life: Life, credit: _Credit, limit: int) -> Loan:
    state, zip_code = draw_place(dice)
    rate = 125 * dice.between(28, 72)
    moves = _draw_adjustment(dice, rate) if credit.is_line else None
    current_rate = draw_adjusted_rate(dice, rate, life, moves) if moves else rate
    change = draw_modification(dice, life, current_rate)
    current_rate = change.rate_after if change else current_rate
    balance = _balance(dice, life, credit, rate, limit)
    interest_only = credit.draw_period if dice.chance(0.6) else 0
    if life.paid < interest_only or not balance:
        payment = interest(balance, current_rate)
    else:
        payment = instalment(balance, current_rate, credit.term - life.paid)
    drawn_share = dice.between(10, 100) if credit.is_line else 100
    return Loan(
        number=number,
        state=state,
        zip_code=zip_code,
        life=life,
        term=credit.term,
        value=credit.value,
        amount=credit.commitment * drawn_share // 100,
        combined_ltv=ratio(credit.commitment, credit.value) + credit.other_liens,
        balance=balance,
        rate=rate,
        current_rate=current_rate,
        payment=payment,
        score=draw_score(dice),
        lien=dice.pick("2222223") if credit.other_liens else "1",
        interest_only=interest_only,
        adjustment=moves,
        modification=change,
    )


def _draw_adjustment(dice: Dice, rate: int) -> Adjustment:
    return Adjustment(
        first_period=dice.pick((1, 6, 12)),
        reset_period=dice.pick((1, 1, 3)),
        index=dice.pick(("04", "04", "04", "02")),
        margin=25 * dice.between(20, 100),
        step=dice.pick((1_000, 2_000)),
        ceiling=rate + dice.pick((6_000, 9_000)),
    )


def _balance(dice: Dice, life: Life, credit: _Credit, rate: int, limit: int) -> int:
    if life.has_ended:
        return 0
    if credit.is_line:
        return limit * dice.between(0, 95) // 100
    return amortised(credit.commitment, rate, credit.term, life.paid)


def _agreement(dice: Dice, loan: Loan, credit: _Credit) -> Cells:
    moves = loan.adjustment
    return {
        "orig_cmtmt_amt": str(credit.commitment),
        # Optional for a first lien, mandatory here.
        "orig_cltv_pct": percent_text(loan.combined_ltv),
        "heq_typ_cd": "1" if credit.is_line else "2",
        "ln_ownr_cd": dice.pick("11111111112"),
        "pmt_rst_freq": str(moves.reset_period) if moves else "0",
        "draw_prd": str(credit.draw_period),
        "eod_pmt_typ_cd": dice.pick("11112") if credit.is_line else "3",
        "fst_mtg_inhs_flg": flag_text(dice.chance(0.4)),
        "lockout_flg": flag_text(credit.is_line and dice.chance(0.5)),
    }


def _line(dice: Dice, loan: Loan, credit: _Credit, limit: int) -> Cells:
    life, balance = loan.life, loan.balance
    is_closed = credit.is_line and (life.has_ended or life.age > credit.draw_period)
    is_frozen = credit.is_line and not is_closed and life.late > 0
    may_draw = credit.is_line and not is_closed and not is_frozen
    draws = may_draw and dice.chance(0.25)
    locked = balance * dice.between(0, 50) // 100 if may_draw and dice.chance(0.1) else 0
    return {
        "cur_crd_lmt_amt": str(limit),
        "mthly_draw_amt": str(balance * dice.between(1, 30) // 100 if draws else 0),
        "line_frzn_flg": flag_text(is_frozen),
        "line_clsd_flg": flag_text(is_closed),
        "lock_amort_amt": str(locked),
        "lock_int_only_amt": str(locked // 4),
    }


def _status(dice: Dice, loan: Loan, credit: _Credit) -> Cells:
    life = loan.life
    is_lost = life.fate is Fate.LOST
    ended = "2" if is_lost else "1"
    late = "4" if life.referred else str(min(life.late, _DOUBTFUL_AFTER))
    lost = credit.commitment * dice.between(20, 90) // 100
    debt = ratio(loan.balance, credit.value) + credit.other_liens
    return {
        "mba_stat_cd": "5" if life.has_ended else late,
        "liq_stat_cd": ended if life.has_ended else "0",
        "accrl_stat_cd": "2" if life.late >= _DOUBTFUL_AFTER else "1",
        "upb_net_amt": str(loan.balance),
        "chrgoff_amt": str(lost if is_lost else 0),
        "chrgoff_dt": day_text(life.sold, dice.between(1, 28)) if life.sold else None,
        "cur_cltv_pct": None if dice.chance(0.1) else percent_text(debt),
    }


def _modification(dice: Dice, loan: Loan) -> Cells:
    change = loan.modification
    code = change.code if change else "0"
    is_eased = change is not None and dice.chance(0.6)
    eased = day_text(REPORTING_MONTH - dice.between(1, 11), dice.between(1, 28))
    return {
        "tdr_dt": eased if is_eased else None,
        "prin_dfrd_flg": flag_text(code == "3"),
        "term_mod_flg": flag_text(code in "25"),
        "prin_wrtdwn_flg": flag_text(code == "4"),
        "line_reage_flg": flag_text(change is not None and dice.chance(0.1)),
        "ln_ext_flg": flag_text(change is not None and dice.chance(0.2)),
    }
