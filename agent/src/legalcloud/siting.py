"""Read the sites of register.yml: where they are, and whether that is in Hong Kong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from ipaddress import IPv4Network, IPv6Network, ip_network

from legalcloud.boundary import Judgement, Verdict, judge
from legalcloud.document import RefusedError
from legalcloud.register import BorderWaiver, Site
from legalcloud.schema import Cell, every, read_all, refuse_repeats

SITE_KEYS = ("id", "name", "district", "address", "operator", "latitude", "longitude", "subnets")


def read_sites(register: Cell, today: date) -> tuple[Site, ...]:
    """Read every site, and refuse them all if one is wrong. `today` decides whether a waiver has expired."""
    fields = register.fields(("legalcloud_sites",))
    cells = fields.take("legalcloud_sites", Cell.items) or []
    fields.whole(None)
    if not cells:
        register.at("legalcloud_sites").refuse("is empty", "List at least one site")
    read = list(read_all(cells, _read_site))
    refuse_repeats(((site.id, cell.at("id")) for cell, site in read), "id")
    _refuse_overlaps([(net, cell.at("subnets", n)) for cell, site in read for n, net in enumerate(site.subnets)])
    for cell, site in read:
        _refuse_abroad(cell, site, judge(site.latitude, site.longitude), today)
    if len(read) < len(cells):
        raise RefusedError
    return tuple(site for _, site in read)


def _read_site(cell: Cell) -> Site:
    fields = cell.fields(SITE_KEYS, ("border_waiver",))
    return fields.whole(
        Site(
            id=fields.take("id", Cell.identifier),
            name=fields.take("name", Cell.bilingual),
            district=fields.take("district", Cell.bilingual),
            address=fields.take("address", Cell.bilingual),
            operator=fields.take("operator", Cell.text),
            latitude=fields.take("latitude", lambda value: value.number(-90, 90, "degrees north")),
            longitude=fields.take("longitude", lambda value: value.number(-180, 180, "degrees east")),
            subnets=fields.take("subnets", lambda value: every(value, _read_subnet)),
            border_waiver=fields.maybe("border_waiver", _read_waiver),
        )
    )


def _read_waiver(cell: Cell) -> BorderWaiver:
    fields = cell.fields(("reason", "surveyed_by", "expires"))
    return fields.whole(
        BorderWaiver(
            reason=fields.take("reason", Cell.text),
            surveyed_by=fields.take("surveyed_by", Cell.text),
            expires=fields.take("expires", Cell.day),
        )
    )


def _read_subnet(cell: Cell) -> IPv4Network | IPv6Network:
    text = cell.text()
    try:
        if "/" not in text:
            cell.refuse(f"is {text}, without a prefix length", "Write it as 10.0.1.0/24")
        return ip_network(text)
    except ValueError as error:
        return cell.refuse(f"is not a subnet: {error}", "Write its first address and prefix length, as 10.0.1.0/24")


def _refuse_overlaps(subnets: Sequence[tuple[IPv4Network | IPv6Network, Cell]]) -> None:
    for index, (subnet, cell) in enumerate(subnets):
        for earlier, place in subnets[:index]:
            if subnet.version == earlier.version and subnet.overlaps(earlier):
                cell.note(f"{subnet} overlaps {earlier} of {place.place}", "Give each site subnets of its own")


def _refuse_abroad(cell: Cell, site: Site, judgement: Judgement, today: date) -> None:
    place = cell.at("latitude")
    where = f"{site.latitude}, {site.longitude} is {judgement}"
    if judgement.verdict is Verdict.OUTSIDE:
        place.note(where, "Correct the coordinates; no waiver admits a site outside Hong Kong")
    if judgement.verdict is not Verdict.NEAR_BORDER:
        return
    if site.border_waiver is None:
        place.note(where, "Have the place surveyed and add border_waiver: {reason, surveyed_by, expires}")
    elif site.border_waiver.expires < today:
        expires = cell.at("border_waiver", "expires")
        expires.note(
            f"expired on {site.border_waiver.expires}, and {where}",
            "Have the place surveyed again and set a new date",
        )
