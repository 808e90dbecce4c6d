"""The columns that both forms have, as the servicing system writes a loan."""

from longhaul.adapters.sample.dice import Dice
from longhaul.adapters.sample.loan import Cells, Fate, Loan, draw_place, instalment
from longhaul.adapters.sample.notation import (
    REPORTING_MONTH,
    day_text,
    flag_text,
    fraction_text,
    month_text,
    percent_text,
)

# Made up: no bank has this number.
_BANK_RSSD_ID = "9900017"
_REPORTING_MONTH_TEXT = month_text(REPORTING_MONTH)

_ZERO_RATE = fraction_text(0)
_PRIME, _NEAR_PRIME = 680, 620
_COUNTIES = ("Adams", "Clay", "Franklin", "Jackson", "Lake", "Marion", "Union", "Washington")
_SCORE_VERSIONS = {
    "1": ("Classic 04", "Classic 08"),
    "2": ("Advance 3.0", "Advance 4.0"),
    "3": ("Bureau Plus 2",),
}


def shared_cells(dice: Dice, loan: Loan) -> dict[str, str | None]:
    """The shared values of a loan, by column."""
    return {
        **_identity(loan),
        **_origination(dice, loan),
        **_borrower(dice, loan),
        **_home(dice, loan),
        **_rates(dice, loan),
        **_standing(dice, loan),
        **_trouble(dice, loan),
        **_books(dice, loan),
    }


def decoy_cells(dice: Dice, cells: Cells) -> Cells:
    """Values that feed no attribute, although some look as if they did."""
    has_moved = dice.chance(0.1)
    state, zip_code = draw_place(dice) if has_moved else (cells["prop_st_cd"], cells["prop_zip_cd"])
    requested = int(cells["orig_ln_amt_disb"] or 0) + 1_000 * dice.between(0, 20)
    return {
        "src_sys_cd": "MSP1",
        "etl_btch_id": "20250702-01",
        "rec_ins_ts": f"2025-07-02T03:{dice.between(0, 59):02}:{dice.between(0, 59):02}",
        "cust_id": str(dice.between(10_000_000, 99_999_999)),
        "brnch_cd": f"{dice.between(1, 250):04}",
        "ln_ofcr_id": f"E{dice.between(1, 900):05}",
        "ln_amt_rqst": str(requested),
        "mail_st_cd": state,
        "mail_zip_cd": zip_code,
        "lst_stmt_dt": day_text(REPORTING_MONTH, 15),
        "lst_pmt_rcvd_dt": day_text(REPORTING_MONTH, dice.between(1, 28)),
        "teas_rt": fraction_text(125 * dice.between(8, 30)),
        "prop_cnty_nm": dice.pick(_COUNTIES),
        "auto_pay_flg": flag_text(dice.chance(0.6)),
    }


def _identity(loan: Loan) -> Cells:
    return {
        "ln_nbr": loan.number,
        "rpt_mth": _REPORTING_MONTH_TEXT,
        "bank_rssd_id": _BANK_RSSD_ID,
        "ent_typ_cd": "1",
        "prop_st_cd": loan.state,
        "prop_zip_cd": loan.zip_code,
    }


def _origination(dice: Dice, loan: Loan) -> Cells:
    life = loan.life
    has_penalty = dice.chance(0.05)
    return {
        "ln_close_dt": day_text(life.closed, dice.between(1, 28)),
        "fst_pmt_dt": day_text(life.first_due, 1),
        "orig_ln_amt_disb": str(loan.amount),
        "orig_prop_val_amt": str(loan.value),
        "orig_cltv_pct": None if dice.chance(0.05) else percent_text(loan.combined_ltv),
        "orig_ln_term": str(loan.term),
        "orig_int_rt": fraction_text(loan.rate),
        "orig_int_typ_cd": "2" if loan.adjustment else "1",
        "orig_val_mthd_cd": dice.pick("11111223445"),
        "lien_pos_cd": loan.lien,
        "ln_src_cd": dice.pick("1111122334"),
        "int_only_orig_flg": flag_text(loan.interest_only > 0),
        "prepay_pnlty_flg": flag_text(has_penalty),
        "prepay_pnlty_term": dice.pick(("12", "24", "36")) if has_penalty else "0",
    }


def _borrower(dice: Dice, loan: Loan) -> Cells:
    score = loan.score
    latest = score + dice.between(-50, 40) - 15 * min(loan.life.late, 8)
    vendor = dice.pick("1112223")
    housing = dice.between(10, 33)
    chapter = dice.pick(("07", "13", "13", "11")) if dice.chance(0.012) else None
    return {
        "orig_crd_scr": str(score),
        "crd_cls_cd": "1" if score >= _PRIME else "2" if score >= _NEAR_PRIME else "3",
        "cur_crd_scr": str(min(max(latest, 300), 850)),
        "cur_crd_scr_dt": None
        if dice.chance(0.08)
        else day_text(REPORTING_MONTH - dice.between(0, 2), dice.between(1, 28)),
        "crd_scr_vndr_cd": vendor,
        "crd_scr_ver_nm": dice.pick(_SCORE_VERSIONS[vendor]),
        "orig_dti_fe_pct": str(housing),
        "orig_dti_be_pct": None if dice.chance(0.1) else str(housing + dice.between(1, 16)),
        "bkrpt_flg": flag_text(chapter is not None),
        "bkrpt_chptr_cd": chapter,
    }


def _home(dice: Dice, loan: Loan) -> Cells:
    units = dice.pick("1111111111111111111223344")
    was_valued = dice.chance(0.85)
    valued = REPORTING_MONTH - dice.between(0, min(11, loan.life.age - 1))
    return {
        "occ_cd": dice.pick("1111111111111111223U"),
        "unit_cnt": units,
        "prop_typ_cd": dice.pick("11111111112235") if units == "1" else "4",
        "comml_ln_flg": flag_text(dice.chance(0.01)),
        "rfrsh_prop_val_amt": str(loan.value * dice.between(85, 160) // 100)
        if was_valued
        else None,
        "rfrsh_val_mthd_cd": dice.pick("12344455") if was_valued else None,
        "rfrsh_val_dt": day_text(valued, dice.between(1, 28)) if was_valued else None,
    }


def _rates(dice: Dice, loan: Loan) -> Cells:
    moves = loan.adjustment
    fixed_by_change = loan.modification is not None
    floor = moves.margin if moves else 0
    return {
        "arm_init_prd": str(moves.first_period) if moves else "0",
        "arm_idx_cd": moves.index if moves else None,
        "arm_mrgn_orig": fraction_text(moves.margin) if moves else _ZERO_RATE,
        "arm_prd_rt_cap": fraction_text(moves.step) if moves else _ZERO_RATE,
        "arm_prd_rt_flr": fraction_text(moves.step) if moves else _ZERO_RATE,
        "arm_life_rt_cap": fraction_text(moves.ceiling) if moves else _ZERO_RATE,
        "arm_life_rt_flr": fraction_text(floor),
        "cur_int_rt": fraction_text(loan.current_rate),
        "cur_int_typ_cd": "2" if moves and not fixed_by_change else "1",
        "rt_frzn_flg": flag_text(fixed_by_change and dice.chance(0.2)),
        "int_only_cur_flg": flag_text(loan.pays_interest_only),
    }


def _standing(dice: Dice, loan: Loan) -> Cells:
    life = loan.life
    is_paying = life.fate is Fate.PERFORMING
    extra = dice.between(1, 20) * 50 if dice.chance(0.1) else 0
    return {
        "nxt_pmt_due_dt": day_text(life.next_due, 1),
        "rem_term": str(loan.remaining_term),
        "cur_pi_amt": str(loan.payment),
        "upb_amt": str(loan.balance),
        "actl_pmt_amt": str(loan.payment + extra if is_paying else 0),
        "pcd_flg": flag_text(dice.chance(0.01)),
        "sbo_flg": flag_text(dice.chance(0.04)),
        "ent_srvcd_cd": dice.pick("11111123"),
    }


def _trouble(dice: Dice, loan: Loan) -> Cells:
    life, change = loan.life, loan.modification
    is_lost = life.fate is Fate.LOST
    debt = _lost_debt(loan) if is_lost else 0
    price = debt * dice.between(60, 95) // 100
    to_others = is_lost and dice.chance(0.5)
    return {
        "fcl_refrl_dt": day_text(life.referred, dice.between(1, 28)) if life.referred else None,
        "fcl_sale_dt": day_text(life.sold, dice.between(1, 28)) if life.sold else None,
        "fcl_susp_flg": flag_text(life.fate is Fate.IN_FORECLOSURE and dice.chance(0.2)),
        "fcl_stat_cd": ("2" if to_others else "3") if is_lost else "1" if life.referred else "0",
        "tps_flg": flag_text(to_others),
        "reo_flg": flag_text(is_lost and not to_others),
        "invol_term_debt_amt": str(debt),
        "sale_prc_amt": str(price),
        "net_recov_amt": str(price * 9 // 10),
        "mod_typ_cd": change.code if change else "0",
        "lst_mod_dt": day_text(change.month, dice.between(1, 28)) if change else None,
        "wrkout_typ_cd": "1" if change else dice.pick("023") if life.late else "0",
        "loss_mit_stat_cd": "0" if change is None else "2" if life.late else "1",
    }


def _lost_debt(loan: Loan) -> int:
    """The debt of a lost loan: the rest, and what was not paid of it."""
    left = loan.term - loan.life.paid
    return loan.amount * left // loan.term + loan.life.late * instalment(
        loan.amount, loan.current_rate, loan.term
    )


def _books(dice: Dice, loan: Loan) -> Cells:
    likelihood = min(30 + (850 - loan.score) * 8 + loan.life.late * 9_000, 100_000)
    return {
        "pd_rt": None if dice.chance(0.1) else fraction_text(likelihood),
        "lgd_rt": None if dice.chance(0.1) else fraction_text(dice.between(5_000, 55_000)),
        "ead_amt": None if dice.chance(0.1) else str(loan.balance),
        "hfi_hfs_cd": dice.pick("11111111123"),
        "ln_prps_cd": dice.pick("111112223334U"),
    }
