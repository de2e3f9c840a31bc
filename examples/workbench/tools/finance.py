"""Tools for interest, loans, investments, prices, taxes and depreciation. Rates are in percent."""

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from examples.workbench.numeric import FiniteResult, NonNegative, Number, Positive, finite

Percent = Annotated[float, Field(gt=-100, le=10_000)]
LoanRate = Annotated[float, Field(ge=0, le=1_000)]
Periods = Annotated[int, Field(ge=1, le=1_200)]
Years = Annotated[float, Field(ge=0, le=1_000)]
CashFlows = Annotated[list[Number], Field(min_length=2, max_length=500)]
Due = Literal["start", "end"]
Compounding = Literal["yearly", "half-yearly", "quarterly", "monthly", "weekly", "daily"]

_PER_YEAR: dict[Compounding, int] = {
    "yearly": 1, "half-yearly": 2, "quarterly": 4, "monthly": 12, "weekly": 52, "daily": 365,
}  # fmt: skip


@dataclass(frozen=True)
class Interest(FiniteResult):
    balance: float
    interest: float


@dataclass(frozen=True)
class Loan(FiniteResult):
    payment: float
    total_paid: float
    total_interest: float


@dataclass(frozen=True)
class Installment(FiniteResult):
    number: int
    payment: float
    interest: float
    principal: float
    balance: float


@dataclass(frozen=True)
class BreakEven(FiniteResult):
    units: float
    revenue: float


@dataclass(frozen=True)
class Profit(FiniteResult):
    profit: float
    margin_percent: float
    markup_percent: float


@dataclass(frozen=True)
class Taxed(FiniteResult):
    net: float
    tax: float
    gross: float


@dataclass(frozen=True)
class YearOfUse(FiniteResult):
    year: int
    depreciation: float
    book_value: float


@dataclass(frozen=True)
class Bill(FiniteResult):
    tip: float
    total: float
    per_person: list[float]


@dataclass(frozen=True)
class Return(FiniteResult):
    gain: float
    return_percent: float


def _value(rate: float, flows: list[float]) -> float:
    """Return the flows' worth now where the rate is positive, else at the end: the sign is the same."""
    value, factor = 0.0, 1 / (1 + rate) if rate > 0 else 1 + rate
    for flow in reversed(flows) if rate > 0 else flows:
        value = value * factor + flow
    return finite(value)


def _annuity(rate: float, periods: int) -> float:
    """Return what one unit at the end of each period is worth now."""
    return periods if rate == 0 else -math.expm1(-periods * math.log1p(rate)) / rate


def _worth(cost: float, salvage: float) -> None:
    if salvage > cost:
        raise ValueError(f"salvage must be <= cost, got {salvage} for {cost}: lower it")


def simple_interest(principal: NonNegative, annual_rate: Percent, years: Years) -> Interest:
    """Compute simple interest, paid on the principal alone.

    Args:
        principal: The amount lent or saved.
        annual_rate: The interest rate a year, in percent.
        years: How many years.
    """
    interest = principal * annual_rate / 100 * years
    return Interest(principal + interest, interest)


def compound_interest(
    principal: NonNegative, annual_rate: Percent, years: Years, compounding: Compounding = "yearly"
) -> Interest:
    """Compute compound interest on savings: the final balance and the interest earned.

    Args:
        principal: The amount saved.
        annual_rate: The nominal interest rate a year, in percent.
        years: How many years.
        compounding: How often interest is added.
    """
    times = _PER_YEAR[compounding]
    balance = principal * (1 + annual_rate / 100 / times) ** (times * years)
    return Interest(balance, balance - principal)


def future_value(
    rate_per_period: Percent, periods: Periods, payment: Number, initial: Number = 0, due: Due = "end"
) -> float:
    """Compute the future value of regular savings: what equal payments and an initial sum grow to.

    Args:
        rate_per_period: The interest rate for each period, in percent.
        periods: How many payments.
        payment: The amount paid in each period.
        initial: The sum at the start.
        due: Whether each payment comes at the start or the end of its period.
    """
    rate = rate_per_period / 100
    growth = math.exp(periods * math.log1p(rate))
    shift = 1 + rate if due == "start" else 1
    return finite(initial * growth + payment * _annuity(rate, periods) * growth * shift)


def present_value(
    amount: Number, rate_per_period: Percent, periods: Annotated[float, Field(ge=0, le=1_200)]
) -> float:
    """Discount a future sum: compute what it is worth today (present value).

    Args:
        amount: The sum to be received.
        rate_per_period: The discount rate for each period, in percent.
        periods: How many periods from now.
    """
    return finite(amount * math.exp(-periods * math.log1p(rate_per_period / 100)))


def annuity_present_value(
    payment: Number, rate_per_period: Percent, periods: Periods, due: Due = "end"
) -> float:
    """Compute what a series of equal payments (annuity) is worth today.

    Args:
        payment: The amount of each payment.
        rate_per_period: The discount rate for each period, in percent.
        periods: How many payments.
        due: Whether each payment comes at the start or the end of its period.
    """
    rate = rate_per_period / 100
    return finite(payment * _annuity(rate, periods) * (1 + rate if due == "start" else 1))


def loan_payment(principal: Positive, annual_rate: LoanRate, months: Periods) -> Loan:
    """Compute the monthly payment of a loan or mortgage, and the total interest.

    Args:
        principal: The amount borrowed.
        annual_rate: The nominal interest rate a year, in percent.
        months: How many monthly payments.
    """
    payment = principal / _annuity(annual_rate / 1_200, months)
    return Loan(payment, payment * months, payment * months - principal)


def loan_amortization_schedule(
    principal: Annotated[float, Field(gt=0, le=1e12)],
    annual_rate: LoanRate,
    months: Annotated[int, Field(ge=1, le=600)],
) -> list[Installment]:
    """List the monthly payments of a loan with interest, principal and remaining balance, in whole cents.

    Args:
        principal: The amount borrowed.
        annual_rate: The nominal interest rate a year, in percent.
        months: How many payments; the last one settles what rounding left.
    """
    rate = annual_rate / 1_200
    regular = round(principal / _annuity(rate, months), 2)
    balance, schedule = round(principal, 2), []
    for number in range(1, months + 1):
        interest = round(balance * rate, 2)
        payment = (
            round(balance + interest, 2) if number == months else min(regular, round(balance + interest, 2))
        )
        balance = round(balance + interest - payment, 2)
        schedule.append(Installment(number, payment, interest, round(payment - interest, 2), balance))
    return schedule


def loan_term(principal: Positive, annual_rate: LoanRate, payment: Positive) -> int:
    """Compute how many monthly payments pay off a loan.

    Args:
        principal: The amount borrowed.
        annual_rate: The nominal interest rate a year, in percent.
        payment: The amount paid each month.
    """
    rate = annual_rate / 1_200
    share = principal * rate / payment
    if share >= 1:
        raise ValueError(
            f"payment must exceed the first interest of {principal * rate:.2f}, got {payment}: raise it"
        )
    return math.ceil((-math.log1p(-share) / math.log1p(rate) if rate else principal / payment) - 1e-9)


def net_present_value(cash_flows: CashFlows, rate_per_period: Percent) -> float:
    """Compute the net present value (NPV) of an investment's cash flows.

    Args:
        cash_flows: The flow of each period, starting now; money paid out is negative.
        rate_per_period: The discount rate for each period, in percent.
    """
    factor = 1 / (1 + rate_per_period / 100)
    return finite(functools.reduce(lambda value, flow: value * factor + flow, reversed(cash_flows), 0.0))


def internal_rate_of_return(cash_flows: CashFlows) -> float:
    """Find the internal rate of return (IRR) of an investment's cash flows, in percent for each period.

    Args:
        cash_flows: The flow of each period, starting now; money paid out is negative.
    """
    if not min(cash_flows) < 0 < max(cash_flows):
        raise ValueError(
            "cash_flows must have money paid out and money received, got one sign only: check signs"
        )
    if sum(cash_flows) == 0:
        return 0.0
    low, high = (-0.9, 0.0) if _value(-0.9, cash_flows) * sum(cash_flows) < 0 else (0.0, 1.0)
    rising = _value(low, cash_flows) < 0
    while (_value(high, cash_flows) < 0) == rising:
        high *= 2
        if not 0 < high < 1e6:
            raise ValueError(
                "cash_flows must have an internal rate of return above -90 %, got none: check signs"
            )
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (_value(middle, cash_flows) < 0) == rising else (low, middle)
    return high * 100


def payback_period(cash_flows: CashFlows) -> float:
    """Compute after how many periods an investment has paid for itself, without discounting.

    Args:
        cash_flows: The flow of each period, starting now with the cost as a negative number.
    """
    balance = 0.0
    for period, flow in enumerate(cash_flows):
        if period and balance < 0 <= balance + flow:
            return finite(period - 1 - balance / flow)
        balance += flow
    raise ValueError(
        f"cash_flows must turn from loss to gain, got a balance of {balance} at the end: add periods"
    )


def break_even_point(fixed_costs: NonNegative, price: Positive, unit_cost: NonNegative) -> BreakEven:
    """Compute how many units must be sold to cover all costs.

    Args:
        fixed_costs: Costs that do not depend on the units sold.
        price: The selling price of a unit.
        unit_cost: The variable cost of a unit.
    """
    if unit_cost >= price:
        raise ValueError(f"price must exceed unit_cost, got {price} against {unit_cost}: raise the price")
    units = fixed_costs / (price - unit_cost)
    return BreakEven(units, units * price)


def profit_margin(cost: Positive, price: Positive) -> Profit:
    """Compute the profit, margin (percent of the price) and markup (percent of the cost) of a sale.

    Args:
        cost: What it cost.
        price: What it sells for.
    """
    return Profit(price - cost, (price - cost) / price * 100, (price - cost) / cost * 100)


def price_for_margin(cost: NonNegative, margin: Annotated[float, Field(gt=-1_000, lt=100)]) -> float:
    """Compute the selling price that gives a wanted profit margin.

    Args:
        cost: What it cost.
        margin: The margin, in percent of the price.
    """
    return finite(cost / (1 - margin / 100))


def add_sales_tax(net: Number, tax_rate: NonNegative) -> Taxed:
    """Add sales tax or VAT to a net price.

    Args:
        net: The price without tax.
        tax_rate: The tax rate, in percent.
    """
    tax = net * tax_rate / 100
    return Taxed(net, tax, net + tax)


def remove_sales_tax(gross: Number, tax_rate: NonNegative) -> Taxed:
    """Take the sales tax or VAT out of a gross price.

    Args:
        gross: The price with tax.
        tax_rate: The tax rate, in percent.
    """
    net = gross / (1 + tax_rate / 100)
    return Taxed(net, gross - net, gross)


def straight_line_depreciation(
    cost: Positive, salvage: NonNegative, years: Annotated[int, Field(ge=1, le=100)]
) -> list[YearOfUse]:
    """List the yearly depreciation and book value of an asset by the straight-line method.

    Args:
        cost: What it cost.
        salvage: What it is worth at the end.
        years: How many years it is used.
    """
    _worth(cost, salvage)
    loss = (cost - salvage) / years
    return [YearOfUse(year, loss, cost - loss * year) for year in range(1, years + 1)]


def declining_balance_depreciation(
    cost: Positive,
    salvage: NonNegative,
    years: Annotated[int, Field(ge=1, le=100)],
    factor: Annotated[float, Field(gt=0, le=10)] = 2,
) -> list[YearOfUse]:
    """List the yearly depreciation and book value of an asset by the declining-balance method.

    Args:
        cost: What it cost.
        salvage: What it is worth at least; depreciation stops there.
        years: How many years it is used.
        factor: How many times the straight-line rate: 2 for double declining balance.
    """
    _worth(cost, salvage)
    value, schedule = cost, []
    for year in range(1, years + 1):
        loss = min(value * min(1.0, factor / years), value - salvage)
        value -= loss
        schedule.append(YearOfUse(year, loss, value))
    return schedule


def compound_annual_growth_rate(
    start_value: Positive, end_value: Positive, years: Annotated[float, Field(gt=0, le=1_000)]
) -> float:
    """Compute the compound annual growth rate (CAGR) between two values, in percent.

    Args:
        start_value: The value at the start.
        end_value: The value at the end.
        years: How many years lie between.
    """
    return finite(math.expm1(math.log(end_value / start_value) / years) * 100)


def effective_annual_rate(
    nominal_rate: Percent, compounding: Compounding | Literal["continuous"] = "monthly"
) -> float:
    """Convert a nominal interest rate to the effective annual rate (APY), in percent.

    Args:
        nominal_rate: The nominal rate a year, in percent.
        compounding: How often interest is added.
    """
    if compounding == "continuous":
        return finite(math.expm1(nominal_rate / 100) * 100)
    times = _PER_YEAR[compounding]
    return finite(((1 + nominal_rate / 100 / times) ** times - 1) * 100)


def real_interest_rate(nominal_rate: Percent, inflation_rate: Percent) -> float:
    """Compute the interest rate after inflation (real rate), in percent.

    Args:
        nominal_rate: The nominal rate, in percent.
        inflation_rate: The inflation over the same time, in percent.
    """
    return finite(((1 + nominal_rate / 100) / (1 + inflation_rate / 100) - 1) * 100)


def return_on_investment(cost: Positive, proceeds: NonNegative) -> Return:
    """Compute the gain of an investment and its return on investment (ROI) in percent.

    Args:
        cost: What was invested.
        proceeds: What came back.
    """
    return Return(proceeds - cost, (proceeds - cost) / cost * 100)


def split_bill_with_tip(
    bill: Annotated[float, Field(ge=0, le=1e9)],
    tip_percent: Annotated[float, Field(ge=0, le=1_000)] = 15,
    people: Annotated[int, Field(ge=1, le=100)] = 1,
) -> Bill:
    """Add a tip to a restaurant bill and split it among people, to the cent.

    Args:
        bill: The amount of the bill.
        tip_percent: The tip, in percent of the bill.
        people: How many share it; the first pay the odd cents.
    """
    cents = round(bill * 100)
    tip = round(cents * tip_percent / 100)
    share, odd = divmod(cents + tip, people)
    return Bill(tip / 100, (cents + tip) / 100, [(share + (person < odd)) / 100 for person in range(people)])
