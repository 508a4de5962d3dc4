"""Lighthouse Foods, a company that does not exist: its people, groups, resources, roles and who holds what.

Data only. Days count from the day on which the demo is made: `since` backwards, `until` forwards.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from roles.mails import default_notifications
from roles.models import Resource, Role

NAME = "Lighthouse Foods"
DOMAIN = "example.org"
# The same for everybody; what keeps strangers out is the second factor, whose keys are made afresh for each demo.
PASSWORD = "a lighthouse in the fog"  # noqa: S105 (shown to whoever starts the demo)

LISBON, BERLIN, TORONTO = "Europe/Lisbon", "Europe/Berlin", "America/Toronto"
KOLKATA, AUCKLAND = "Asia/Kolkata", "Pacific/Auckland"

# What each of the people to try the product with is for.
PERSONAS = {
    "global_admin": "Global Administrator, always: may do everything in the console",
    "role_admin": "Privileged Role Administrator, always: roles, settings and assignments in the console",
    "helpdesk": "eligible for Helpdesk Administrator: activate it, and the console appears",
    "security_reader": "Security Reader, always: sees everything, changes nothing",
    "approver": "decides requests for the ledger database, payments and restores; is asked in an access review",
    "second_approver": "decides the same: who is first, decides",
    "requester": "eligible for a plain role, one with approval or emergency access, one with a ticket, one that asks "
    "another system first, and Security Reader",
    "on_call": "eligible for five roles, to be activated together when the shop stands still",
    "outsider": "has nothing at all",
    "service": "service account with one active role; cannot sign in on pages",
}


@dataclass(frozen=True)
class Person:
    username: str
    name: str
    manager: str = ""
    zone: str = BERLIN

    @property
    def email(self) -> str:
        return f"{self.username.replace('_', '.')}@{DOMAIN}"


# Managers come before those who report to them.
PEOPLE = (
    Person("helena.cliff", "Helena Cliff", zone=LISBON),
    Person("global_admin", "Gloria Beacon", "helena.cliff"),
    Person("finn.tide", "Finn Tide", "helena.cliff", LISBON),
    Person("petra.quay", "Petra Quay", "helena.cliff"),
    Person("linus.buoy", "Linus Buoy", "helena.cliff", TORONTO),
    Person("ida.dune", "Ida Dune", "helena.cliff", LISBON),
    Person("role_admin", "Rolf Anchor", "global_admin"),
    Person("ines.shoal", "Ines Shoal", "global_admin", TORONTO),
    Person("milo.drift", "Milo Drift", "global_admin", AUCKLAND),
    Person("helpdesk", "Hedda Harbour", "role_admin"),
    Person("hugo.pier", "Hugo Pier", "role_admin", KOLKATA),
    Person("security_reader", "Selma Lantern", "helena.cliff"),
    Person("approver", "Arthur Keel", "finn.tide", LISBON),
    Person("second_approver", "Sofia Mast", "finn.tide"),
    Person("requester", "Rita Sail", "approver"),
    Person("outsider", "Otto Reef", "petra.quay"),
    Person("dina.wave", "Dina Wave", "approver", LISBON),
    Person("egon.sand", "Egon Sand", "approver"),
    Person("vera.gull", "Vera Gull", "second_approver", TORONTO),
    Person("nora.foam", "Nora Foam", "second_approver"),
    Person("karl.cove", "Karl Cove", "finn.tide"),
    Person("paul.spray", "Paul Spray", "petra.quay"),
    Person("lena.kelp", "Lena Kelp", "petra.quay"),
    Person("timo.brine", "Timo Brine", "lena.kelp"),
    Person("alba.coral", "Alba Coral", "lena.kelp", LISBON),
    Person("jens.eddy", "Jens Eddy", "paul.spray"),
    Person("mara.salt", "Mara Salt", "paul.spray"),
    Person("ruben.fjord", "Ruben Fjord", "linus.buoy", TORONTO),
    Person("tessa.bay", "Tessa Bay", "linus.buoy", TORONTO),
    Person("oskar.ebb", "Oskar Ebb", "ruben.fjord", TORONTO),
    Person("zoe.current", "Zoe Current", "ruben.fjord", TORONTO),
    Person("bela.rudder", "Bela Rudder", "milo.drift", AUCKLAND),
    Person("carla.hull", "Carla Hull", "milo.drift", AUCKLAND),
    Person("on_call", "Olga Ketch", "ines.shoal"),
    Person("dario.stern", "Dario Stern", "ines.shoal"),
    Person("emma.bow", "Emma Bow", "ines.shoal", KOLKATA),
    Person("fritz.galley", "Fritz Galley", "ines.shoal"),
    Person("gina.compass", "Gina Compass", "ines.shoal", KOLKATA),
    Person("henk.oar", "Henk Oar", "role_admin", KOLKATA),
    Person("wanda.squall", "Wanda Squall", "ida.dune", LISBON),
    Person("ivan.strand", "Ivan Strand", "ida.dune", LISBON),
    Person("yara.lagoon", "Yara Lagoon", "ida.dune"),
)
SERVICE = Person("service", "Ledger export", "approver", "UTC")
# Left the company a while ago.
LEFT = ("fritz.galley", 12, "Left the company.")


@dataclass(frozen=True)
class Team:
    name: str
    description: str
    owner: str
    members: tuple[str, ...]
    is_protected: bool = False


GROUPS = (
    Team(
        "Payment approvers",
        "Decide who may release payments and touch the ledger database.",
        "finn.tide",
        ("approver", "second_approver"),
        is_protected=True,
    ),
    Team(
        "Recipe guardians",
        "Decide who may open the recipe vault.",
        "petra.quay",
        ("petra.quay", "lena.kelp", "second_approver"),
        is_protected=True,
    ),
    Team(
        "Platform leads",
        "Decide who may change servers and restore backups.",
        "global_admin",
        ("ines.shoal", "milo.drift", "approver"),
        is_protected=True,
    ),
    Team("Finance", "Everybody in Finance.", "finn.tide", ("requester", "dina.wave", "egon.sand", "vera.gull")),
    Team("Plant engineers", "Keep the lines running.", "paul.spray", ("jens.eddy", "mara.salt", "timo.brine")),
    Team("On call", "Take the telephone at night.", "ines.shoal", ("dario.stern", "emma.bow", "gina.compass")),
)


@dataclass(frozen=True)
class Node:
    name: str
    kind: str
    beneath: tuple["Node", ...] = ()


def unit(name: str, *beneath: Node) -> Node:
    return Node(name, Resource.Kind.UNIT, beneath)


def application(name: str, *beneath: Node) -> Node:
    return Node(name, Resource.Kind.APPLICATION, beneath)


def machine(name: str) -> Node:
    """A server or a database."""
    return Node(name, Resource.Kind.OTHER)


RESOURCES = (
    unit(
        "Finance",
        application("Ledger", machine("ledger-database"), machine("ledger-web")),
        application("Payments"),
        application("Payroll"),
    ),
    unit(
        "Production",
        unit("Plant North", application("Line control north"), machine("north-gateway")),
        unit("Plant South", application("Line control south"), machine("south-gateway")),
        application("Recipe vault"),
    ),
    unit("Logistics", application("Fleet planner"), application("Warehouse", machine("warehouse-database"))),
    unit(
        "IT",
        application("Directory"),
        application("Web shop", machine("shop-database"), machine("shop-web-1"), machine("shop-web-2")),
        application("Backups"),
    ),
    unit("People", application("Staff records")),
)


@dataclass(frozen=True)
class Post:
    """A role and its first settings; approvers and groups by name."""

    name: str
    resource: str
    description: str
    is_privileged: bool = False
    approvers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    time_to_decide: timedelta = timedelta(hours=24)
    settings: dict[str, Any] = field(default_factory=dict)
    asks_calendar: bool = False


def settings(hours: float, **others: Any) -> dict[str, Any]:
    """What differs from the defaults; administrators are told of privileged roles only, or they would stop reading."""
    quiet = default_notifications()
    for cells in quiet.values():
        cells["admin"]["default"] = False
    return {"activation_max_duration": timedelta(hours=hours), "notifications": quiet} | others


def guarded(hours: float, **others: Any) -> dict[str, Any]:
    """For roles that could do harm: approval, a ticket, nothing permanent."""
    return {
        "activation_max_duration": timedelta(hours=hours),
        "approval_required": True,
        "permanent_active_allowed": False,
        "active_max_days": 30,
    } | others


ROLES = (
    Post("Ledger Reader", "Ledger", "Reads accounts and postings.", settings=settings(8)),
    Post(
        "Ledger Database Operator",
        "Ledger",
        "Runs repairs on the ledger's database.",
        True,
        approvers=("approver", "second_approver"),
        settings=guarded(4, emergency_allowed=True),
    ),
    Post(
        "Payments Releaser",
        "Payments",
        "Releases payment runs to the bank.",
        True,
        groups=("Payment approvers",),
        time_to_decide=timedelta(hours=4),
        settings=guarded(1, ticket_required=True),
    ),
    Post("Payroll Clerk", "Payroll", "Prepares the monthly payroll.", settings=settings(8, ticket_required=True)),
    Post(
        "Line Control Engineer",
        "Production",
        "Changes programs of the production lines.",
        settings=settings(4, ticket_required=True, eligible_max_days=180, permanent_eligible_allowed=False),
    ),
    Post(
        "Recipe Vault Keeper",
        "Recipe vault",
        "Opens and changes recipes.",
        True,
        groups=("Recipe guardians",),
        settings=guarded(1, permanent_eligible_allowed=False, eligible_max_days=90),
    ),
    Post(
        "Fleet Planner",
        "Fleet planner",
        "Plans lorries and drivers.",
        settings=settings(12, activation_authentication="none", justification_required=False),
    ),
    Post("Warehouse Operator", "Warehouse", "Corrects stock and locations.", settings=settings(8)),
    Post(
        "Directory Administrator",
        "Directory",
        "Changes accounts and groups in the company's directory. Nobody is named, so administrators approve.",
        True,
        settings=guarded(1, ticket_required=True),
    ),
    Post(
        "Web Shop Deployer", "Web shop", "Puts new versions into the shop.", settings=settings(4, ticket_required=True)
    ),
    Post(
        "Change Manager",
        "IT",
        "Puts agreed changes in force. The change calendar is asked first: it knows tickets such as CHG-7 and FRZ-7.",
        True,
        approvers=("approver", "second_approver"),
        settings=guarded(2, ticket_required=True),
        asks_calendar=True,
    ),
    Post("Database Reader", "IT", "Reads the tables of any database of IT.", settings=settings(8)),
    Post(
        "Server Administrator",
        "IT",
        "Has root on the servers of IT.",
        True,
        groups=("Platform leads",),
        settings=guarded(2),
    ),
    Post(
        "Backup Restorer",
        "Backups",
        "Restores files and databases from backups.",
        True,
        groups=("Platform leads",),
        time_to_decide=timedelta(hours=8),
        settings=guarded(2, ticket_required=True),
    ),
    Post(
        "Staff Records Editor",
        "Staff records",
        "Changes contracts and addresses of staff.",
        settings=settings(2, permanent_eligible_allowed=False, eligible_max_days=180),
    ),
    Post(
        "Report Publisher",
        "Ledger",
        "Publishes the nightly reports of the ledger.",
        settings=settings(1, active_max_days=365),
    ),
)
# Settings other than the first ones of a role. The shop earns the money: on its machines the time is shorter.
OVERRIDES = (
    Post(
        "Server Administrator",
        "Web shop",
        "",
        groups=("Platform leads",),
        time_to_decide=timedelta(hours=2),
        settings=guarded(1),
    ),
    # Whoever reads all of the audit sees much; the tour of the README shows how that is asked for.
    Post(
        Role.SECURITY_READER,
        NAME,
        "",
        approvers=("approver", "second_approver"),
        settings=settings(2, approval_required=True),
    ),
)


@dataclass(frozen=True)
class Held:
    """Who holds a role from so many days ago (below 0: from then on) until so many days from now, or permanently."""

    person: str
    role: str
    since: float = 50
    until: float | None = None
    scope: str = ""


ADMINISTRATOR, ROLE_ADMINISTRATOR = Role.GLOBAL_ADMINISTRATOR, Role.PRIVILEGED_ROLE_ADMINISTRATOR
HELPDESK, READER = Role.HELPDESK_ADMINISTRATOR, Role.SECURITY_READER

ACTIVE = (
    Held("role_admin", ROLE_ADMINISTRATOR),
    Held("ines.shoal", ADMINISTRATOR),
    Held("milo.drift", ROLE_ADMINISTRATOR),
    Held("security_reader", READER),
    Held("service", "Report Publisher", 40, 300),
    Held("karl.cove", "Ledger Reader", 30, 60),
    Held("wanda.squall", "Staff Records Editor", 25, 5),
    Held("oskar.ebb", "Fleet Planner", 45, -10),
    Held("yara.lagoon", "Ledger Reader", -3, 30),
)
ELIGIBLE = (
    Held("requester", "Ledger Reader"),
    Held("requester", "Ledger Database Operator", 50, 120),
    Held("requester", "Payroll Clerk", 45, 10),
    Held("requester", READER, 40, 90),
    Held("requester", "Change Manager", 40, 150),
    Held("gina.compass", "Change Manager", 40, 150),
    Held("helpdesk", HELPDESK),
    Held("hugo.pier", HELPDESK, 48, 200),
    Held("henk.oar", HELPDESK, 48, 0.7),
    Held("role_admin", "Directory Administrator", 48, 200),
    Held("approver", "Ledger Database Operator"),
    Held("dina.wave", "Ledger Reader"),
    Held("helena.cliff", "Ledger Reader", 47, 200),
    Held("dina.wave", "Payments Releaser", 47, 150),
    Held("egon.sand", "Ledger Database Operator", 47, 12),
    Held("egon.sand", "Payroll Clerk", 47),
    Held("vera.gull", "Payments Releaser", 46, 100),
    Held("nora.foam", "Payroll Clerk", 46),
    Held("nora.foam", "Ledger Reader", -5, 60),
    Held("petra.quay", "Line Control Engineer", 46, 120, "Production"),
    Held("jens.eddy", "Line Control Engineer", 46, 100, "Plant North"),
    Held("mara.salt", "Line Control Engineer", 46, 8, "Plant South"),
    Held("timo.brine", "Recipe Vault Keeper", 45, 40),
    Held("alba.coral", "Recipe Vault Keeper", 45, 30),
    Held("paul.spray", "Line Control Engineer", 45, -9),
    Held("ruben.fjord", "Fleet Planner"),
    Held("tessa.bay", "Warehouse Operator", 44, 180),
    Held("zoe.current", "Fleet Planner", 44, 13),
    Held("oskar.ebb", "Warehouse Operator", 44, -4),
    Held("zoe.current", "Database Reader", -2, 28, "Web shop"),
    Held("bela.rudder", "Server Administrator", 43, 150),
    Held("carla.hull", "Server Administrator", 43, 150, "Web shop"),
    Held("carla.hull", "Backup Restorer", 43),
    Held("dario.stern", "Web Shop Deployer"),
    Held("dario.stern", "Database Reader"),
    Held("on_call", "Warehouse Operator"),
    Held("on_call", "Fleet Planner"),
    Held("on_call", "Web Shop Deployer"),
    Held("on_call", "Database Reader"),
    Held("on_call", "Server Administrator", 50, None, "Web shop"),
    Held("emma.bow", "Web Shop Deployer", 42, 3),
    Held("emma.bow", "Server Administrator", 42, 100, "shop-web-1"),
    Held("fritz.galley", "Backup Restorer", 42),
    Held("gina.compass", "Backup Restorer", 42, 60),
    Held("gina.compass", "Database Reader"),
    Held("ivan.strand", "Staff Records Editor", 41, 90),
    Held("yara.lagoon", "Staff Records Editor", 41, 11),
    Held("wanda.squall", "Ledger Reader", 41, -20),
    Held("karl.cove", "Payments Releaser", 40, 90),
    Held("ines.shoal", "Directory Administrator", 40, 200),
)
REMOVED = (
    ("karl.cove", "Payments Releaser", 18, "Moved from payments to reporting."),
    ("gina.compass", "Database Reader", 9, "Has not used it since spring; agreed with the manager."),
)
