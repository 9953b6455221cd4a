"""Organs and lymph node stations to choose from, with their SNOMED CT codes; a finding's site may also be free text."""

from __future__ import annotations

from dataclasses import dataclass

from oncotrack.findings.finding import Kind


@dataclass(frozen=True)
class Site:
    """An organ or a lymph node station.

    Attributes
    ----------
    name : str
        As a reader writes it.
    code : str
        SNOMED CT code of the body structure.
    is_station : bool
        Whether it is a lymph node station.
    """

    name: str
    code: str
    is_station: bool = False


SITES = (
    Site("adrenal gland", "23451007"),
    Site("bile duct", "28273000"),
    Site("bladder", "89837001"),
    Site("bone", "272673000"),
    Site("brain", "12738006"),
    Site("breast", "76752008"),
    Site("cervix", "71252005"),
    Site("chest wall", "78904004"),
    Site("colon", "71854001"),
    Site("esophagus", "32849002"),
    Site("gallbladder", "28231008"),
    Site("heart", "80891009"),
    Site("kidney", "64033007"),
    Site("larynx", "4596009"),
    Site("liver", "10200004"),
    Site("lung", "39607008"),
    Site("mediastinum", "72410000"),
    Site("nasopharynx", "71836000"),
    Site("omentum", "27398004"),
    Site("oropharynx", "31389004"),
    Site("ovary", "15497006"),
    Site("pancreas", "15776009"),
    Site("parotid gland", "45289007"),
    Site("pericardium", "76848001"),
    Site("peritoneum", "15425007"),
    Site("pleura", "3120008"),
    Site("prostate", "41216001"),
    Site("rectum", "34402009"),
    Site("retroperitoneum", "82849001"),
    Site("skeletal muscle", "127954009"),
    Site("skin", "39937001"),
    Site("small intestine", "30315005"),
    Site("soft tissue", "87784001"),
    Site("spine", "421060004"),
    Site("spleen", "78961009"),
    Site("stomach", "69695003"),
    Site("subcutaneous tissue", "71966008"),
    Site("testis", "40689003"),
    Site("thymus", "9875009"),
    Site("thyroid", "69748006"),
    Site("tongue", "21974007"),
    Site("ureter", "87953007"),
    Site("uterus", "35039007"),
    Site("vagina", "76784001"),
    Site("aortic lymph node", "35783009", is_station=True),
    Site("axillary lymph node", "68171009", is_station=True),
    Site("cardiophrenic angle lymph node", "371013005", is_station=True),
    Site("celiac lymph node", "47985009", is_station=True),
    Site("cervical lymph node", "81105003", is_station=True),
    Site("external iliac lymph node", "65349008", is_station=True),
    Site("hepatic lymph node", "61492009", is_station=True),
    Site("hilar lymph node", "53074004", is_station=True),
    Site("iliac lymph node", "84219008", is_station=True),
    Site("infraclavicular lymph node", "9659009", is_station=True),
    Site("inguinal lymph node", "8928004", is_station=True),
    Site("lymph node of aortopulmonary window", "127938006", is_station=True),
    Site("lymph node of mesentery", "279795009", is_station=True),
    Site("mediastinal lymph node", "62683002", is_station=True),
    Site("obturator lymph node", "36086000", is_station=True),
    Site("paraesophageal lymph node below carina", "127940001", is_station=True),
    Site("pararectal lymph node", "21875007", is_station=True),
    Site("parasternal lymph node", "82365008", is_station=True),
    Site("paratracheal lymph node", "65690001", is_station=True),
    Site("pelvic lymph node", "54268001", is_station=True),
    Site("perigastric lymph node", "245344006", is_station=True),
    Site("peripancreatic lymph node", "245346008", is_station=True),
    Site("popliteal lymph node", "47471008", is_station=True),
    Site("renal hilar lymph node", "249708006", is_station=True),
    Site("retroperitoneal lymph node", "91394001", is_station=True),
    Site("sacral lymph node", "79926007", is_station=True),
    Site("splenic lymph node", "280824006", is_station=True),
    Site("subcarinal lymph node", "28330007", is_station=True),
    Site("submandibular lymph node", "59503006", is_station=True),
    Site("supraclavicular lymph node", "76838003", is_station=True),
)
"""What RECIST 1.1 counts targets in: organs first, then lymph node stations, each in alphabetical order."""


def suggested_sites(kind: Kind) -> tuple[str, ...]:
    """Return the names of all sites, those of the finding's kind first.

    Parameters
    ----------
    kind : Kind
        Lymph node stations come first for a lymph node, organs for others.
    """
    is_node = kind is Kind.LYMPH_NODE
    return tuple(site.name for site in sorted(SITES, key=lambda site: site.is_station != is_node))


def site_named(name: str) -> Site | None:
    """Return the site of this name, whatever its case; None for free text.

    Parameters
    ----------
    name : str
        The site of a finding.
    """
    return next((site for site in SITES if site.name.casefold() == name.strip().casefold()), None)
