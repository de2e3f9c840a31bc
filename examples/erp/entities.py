"""What the ERP keeps records of."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Customer:
    name: str
    city: str = ""
    credit_limit: float = 0
    tax_number: str = ""


@dataclass(frozen=True)
class Contact:
    name: str
    company: str
    email: str = ""
    phone: str = ""


@dataclass(frozen=True)
class Supplier:
    name: str
    city: str = ""
    payment_terms_days: int = 30


@dataclass(frozen=True)
class Product:
    name: str
    unit: str = "piece"
    price: float = 0
    weight_kg: float = 0


@dataclass(frozen=True)
class Warehouse:
    name: str
    city: str
    manager: str = ""


@dataclass(frozen=True)
class StockTransfer:
    product: str
    quantity: int
    from_warehouse: str
    to_warehouse: str


@dataclass(frozen=True)
class Quote:
    customer: str
    valid_until: str
    total: float = 0


@dataclass(frozen=True)
class OrderLine:
    product: str
    quantity: int
    price: float


@dataclass(frozen=True)
class SalesOrder:
    customer: str
    delivery_date: str
    lines: tuple[OrderLine, ...]
    reference: str = ""


@dataclass(frozen=True)
class PurchaseOrder:
    supplier: str
    product: str
    quantity: int
    price: float


@dataclass(frozen=True)
class Invoice:
    customer: str
    sales_order: str
    amount: float
    due_date: str


@dataclass(frozen=True)
class Payment:
    invoice: str
    amount: float
    received_on: str


@dataclass(frozen=True)
class Shipment:
    sales_order: str
    carrier: str
    tracking_number: str = ""


@dataclass(frozen=True)
class GoodsReturn:
    sales_order: str
    product: str
    quantity: int
    reason: str = ""


@dataclass(frozen=True)
class Employee:
    name: str
    department: str
    manager: str = ""


@dataclass(frozen=True)
class Timesheet:
    employee: str
    week: str
    hours: float
    project: str = ""


@dataclass(frozen=True)
class Expense:
    employee: str
    amount: float
    purpose: str
    spent_on: str


@dataclass(frozen=True)
class Project:
    name: str
    customer: str = ""
    budget: float = 0


@dataclass(frozen=True)
class FixedAsset:
    name: str
    bought_on: str
    value: float
    location: str = ""


@dataclass(frozen=True)
class SupportTicket:
    customer: str
    subject: str
    priority: int = 3


ENTITIES: tuple[type[Any], ...] = (
    Customer,
    Contact,
    Supplier,
    Product,
    Warehouse,
    StockTransfer,
    Quote,
    SalesOrder,
    PurchaseOrder,
    Invoice,
    Payment,
    Shipment,
    GoodsReturn,
    Employee,
    Timesheet,
    Expense,
    Project,
    FixedAsset,
    SupportTicket,
)
