"""Which IANA zones a place may be in: towns, US states, Canadian provinces, countries.

Names of towns and countries come from the time zone database (the last step of a zone's name,
zone.tab, iso3166.tab); the tables here add what it does not tell. A state that is split lists
the towns of its smaller part; where neither part is small, both zones stay candidates and the
abbreviation decides.
"""

import functools
import importlib.resources
import os
import unicodedata
import zoneinfo
from collections.abc import Iterable, Iterator

_PACIFIC = "America/Los_Angeles"
_MOUNTAIN = "America/Denver"
_CENTRAL = "America/Chicago"
_EASTERN = "America/New_York"
_ATLANTIC = "America/Halifax"

_FILE_BYTES_MAX = 1 << 20

_ONE_ZONE_STATES = {
    _PACIFIC: "ca california/wa washington",
    _MOUNTAIN: "co colorado/mt montana/nm new mexico/ut utah/wy wyoming/ab alberta",
    _CENTRAL: "al alabama/ar arkansas/il illinois/ia iowa/la louisiana/mn minnesota/ms mississippi"
    "/mo missouri/ok oklahoma/wi wisconsin",
    _EASTERN: "ct connecticut/de delaware/dc district of columbia/ga georgia/me maine/md maryland"
    "/ma massachusetts/nh new hampshire/nj new jersey/ny new york/nc north carolina/oh ohio"
    "/pa pennsylvania/ri rhode island/sc south carolina/vt vermont/va virginia/wv west virginia",
    _ATLANTIC: "ns nova scotia/pe prince edward island",
    "America/Phoenix": "az arizona",
    "Pacific/Honolulu": "hi hawaii",
    "America/Puerto_Rico": "pr puerto rico",
    "America/Winnipeg": "mb manitoba",
    "America/Moncton": "nb new brunswick",
    "America/Toronto": "qc quebec",
    "America/Regina": "sk saskatchewan",
    "America/Whitehorse": "yt yukon",
    "America/Yellowknife": "nt northwest territories",
}
# Code and name, the zones of any town, and the towns known to be elsewhere or in one of two.
_SPLIT_STATES: tuple[tuple[str, tuple[str, ...], dict[str, str]], ...] = (
    ("ak alaska", ("America/Anchorage",), {"America/Adak": "adak"}),
    (
        "fl florida",
        (_EASTERN,),
        {_CENTRAL: "pensacola/panama city/destin/fort walton beach/crestview/marianna"},
    ),
    (
        "id idaho",
        ("America/Boise",),
        {_PACIFIC: "coeur d'alene/lewiston/moscow/sandpoint/post falls"},
    ),
    (
        "in indiana",
        ("America/Indiana/Indianapolis",),
        {_CENTRAL: "gary/hammond/evansville/merrillville/valparaiso/michigan city/crown point"},
    ),
    ("ks kansas", (_CENTRAL,), {_MOUNTAIN: "goodland/tribune/syracuse/sharon springs"}),
    (
        "ky kentucky",
        (_EASTERN, _CENTRAL),
        {
            "America/Kentucky/Louisville": "louisville",
            _EASTERN: "lexington/covington/frankfort/florence",
            _CENTRAL: "bowling green/paducah/owensboro/hopkinsville",
        },
    ),
    (
        "mi michigan",
        ("America/Detroit",),
        {"America/Menominee": "menominee/iron mountain/ironwood/kingsford"},
    ),
    (
        "ne nebraska",
        (_CENTRAL,),
        {_MOUNTAIN: "scottsbluff/ogallala/alliance/sidney/chadron"},
    ),
    ("nv nevada", (_PACIFIC,), {_MOUNTAIN: "west wendover"}),
    ("nd north dakota", (_CENTRAL,), {_MOUNTAIN: "dickinson/bowman/hettinger"}),
    ("or oregon", (_PACIFIC,), {"America/Boise": "ontario/nyssa/vale"}),
    (
        "sd south dakota",
        (_CENTRAL,),
        {_MOUNTAIN: "rapid city/spearfish/sturgis/deadwood/box elder"},
    ),
    (
        "tn tennessee",
        (_CENTRAL, _EASTERN),
        {
            _CENTRAL: "nashville/memphis/clarksville/murfreesboro/franklin/jackson",
            _EASTERN: "knoxville/chattanooga/johnson city/kingsport/bristol/oak ridge",
        },
    ),
    (
        "tx texas",
        (_CENTRAL,),
        {_MOUNTAIN: "el paso/socorro/horizon city/fort bliss"},
    ),
    (
        "bc british columbia",
        ("America/Vancouver",),
        {
            "America/Edmonton": "cranbrook/fernie/golden",
            "America/Dawson_Creek": "dawson creek/fort st john",
        },
    ),
    (
        "nl newfoundland and labrador",
        ("America/St_Johns",),
        {"America/Goose_Bay": "goose bay/happy valley-goose bay/labrador city"},
    ),
    (
        "on ontario",
        ("America/Toronto",),
        {"America/Winnipeg": "kenora/dryden/rainy river/fort frances"},
    ),
)
# Towns that give no zone its name, where the name alone says which town is meant.
_TOWNS = {
    _PACIFIC: "san francisco/seattle/santa clara/sacramento/san diego/las vegas/oakland",
    _MOUNTAIN: "salt lake city/albuquerque/colorado springs",
    _CENTRAL: "dallas/houston/austin/san antonio/fort worth/new orleans/omaha/minneapolis"
    "/st louis/kansas city/nashville/memphis/milwaukee",
    _EASTERN: "ashburn/reston/boston/atlanta/miami/orlando/charlotte/raleigh/philadelphia"
    "/pittsburgh/cleveland/cincinnati/baltimore/new york city/washington dc",
    "America/Toronto": "montreal/ottawa/quebec city",
    "America/Edmonton": "calgary",
    "America/Sao_Paulo": "rio de janeiro/campinas/brasilia",
    "Europe/Berlin": "frankfurt/frankfurt am main/munich/hamburg/dusseldorf/cologne/stuttgart",
    "Europe/Paris": "marseille/lyon/toulouse/lille",
    "Europe/Rome": "milan/turin",
    "Europe/Madrid": "barcelona/valencia",
    "Europe/Zurich": "geneva/basel/bern",
    "Europe/Amsterdam": "rotterdam/the hague/eindhoven",
    "Europe/Brussels": "antwerp/ghent",
    "Europe/Stockholm": "gothenburg/malmo",
    "Europe/London": "edinburgh/glasgow/leeds/slough",
    "Europe/Warsaw": "krakow/wroclaw/gdansk",
    "Europe/Moscow": "saint petersburg/st petersburg",
    "Europe/Istanbul": "ankara/izmir",
    "Africa/Johannesburg": "cape town/durban/pretoria",
    "Asia/Dubai": "abu dhabi",
    "Asia/Jerusalem": "tel aviv/haifa",
    "Asia/Kolkata": "bangalore/bengaluru/mumbai/delhi/new delhi/hyderabad/chennai/pune",
    "Asia/Shanghai": "beijing/shenzhen/guangzhou/hangzhou",
    "Asia/Tokyo": "osaka/kyoto/nagoya",
    "Asia/Ho_Chi_Minh": "hanoi",
    "Australia/Sydney": "canberra",
    "Pacific/Auckland": "wellington/christchurch",
}
_COUNTRY_NAMES = (
    "us usa/us united states of america/us america/gb uk/gb united kingdom/gb great britain"
    "/gb england/gb scotland/gb wales/gb northern ireland/kr south korea/kr korea/ru russia"
    "/vn vietnam/cz czechia/cz czech republic/ae uae/nl the netherlands/nl holland/ir iran"
    "/tr turkey/tr turkiye/tw taiwan/ie republic of ireland"
)
# The zone most people of a country live in comes first, which zone.tab does not do; messages
# name the first of these that fit.
_PRINCIPAL_ZONES = {
    "us": "America/New_York America/Chicago America/Denver America/Los_Angeles America/Anchorage "
    "Pacific/Honolulu",
    "ar": "America/Argentina/Buenos_Aires",
    "au": "Australia/Sydney Australia/Brisbane Australia/Adelaide Australia/Darwin Australia/Perth",
    "br": "America/Sao_Paulo America/Manaus America/Rio_Branco",
    "ca": "America/Toronto America/Winnipeg America/Edmonton America/Regina America/Vancouver "
    "America/Halifax",
    "cl": "America/Santiago",
    "cn": "Asia/Shanghai",
    "de": "Europe/Berlin",
    "id": "Asia/Jakarta",
    "mx": "America/Mexico_City America/Monterrey America/Tijuana",
    "my": "Asia/Kuala_Lumpur",
    "nz": "Pacific/Auckland",
    "ru": "Europe/Moscow",
    "ua": "Europe/Kyiv",
}


def candidates(place: str) -> tuple[str, ...]:
    """The zones `place` may be in, likeliest first; empty for a place nobody here knows.

    `place` is words separated by commas, `Dallas, TX` or `Floor 3, Osaka, Japan`. A town counts
    only inside the region that is named with it, so Paris, TX is not in France.
    """
    parts = _parts(place)
    regions = [zones for zones in map(_regions().get, parts) if zones]
    towns = [zone for part in parts for zone in _towns().get(part, ())]
    if not regions:
        return _unique(towns)
    if len(parts) == 1:
        return _unique([*towns, *_default_zones(parts[0])])
    inside = set.intersection(*map(set, regions)) or set(regions[-1])
    found = _unique([zone for zone in towns if zone in inside])
    # A town whose name is also that of the region (New York, NY) says no more than the region.
    if found:
        return found
    defaults = [zone for part in parts for zone in _default_zones(part) if zone in inside]
    return _town_of_split_state(parts) or _unique(defaults)


def canonical_zones() -> tuple[str, ...]:
    """One name for each set of zones that have agreed since 1970, the best known ones first."""
    for name in ("zone1970.tab", "zone.tab"):
        zones = {row[2] for row in _rows(name) if len(row) > 2}
        if zones:
            known = [zone for text in _PRINCIPAL_ZONES.values() for zone in text.split()]
            return _unique([*(zone for zone in known if zone in zones), *sorted(zones)])
    return ()


def _town_of_split_state(parts: list[str]) -> tuple[str, ...]:
    for state, _, towns in _SPLIT_STATES:
        if set(_names(state)) & set(parts):
            for zone, names in towns.items():
                if set(names.split("/")) & set(parts):
                    return (zone,)
    return ()


@functools.cache
def _regions() -> dict[str, tuple[str, ...]]:
    """Every zone of a state, province or country, by code and by name, in folded letters."""
    found: dict[str, list[str]] = {}
    for zone, states in _ONE_ZONE_STATES.items():
        for state in states.split("/"):
            for name in _names(state):
                found.setdefault(name, []).append(zone)
    for state, zones, towns in _SPLIT_STATES:
        for name in _names(state):
            found.setdefault(name, []).extend((*zones, *towns))
    for name, zones in _countries().items():
        found.setdefault(name, []).extend(zones)
    return {name: _unique(zones) for name, zones in found.items()}


def _default_zones(part: str) -> tuple[str, ...]:
    """The zones of a town of region `part` of which nothing else is known."""
    for state, zones, _ in _SPLIT_STATES:
        if part in _names(state):
            return zones + _countries().get(part, ())
    return _regions().get(part, ())


@functools.cache
def _countries() -> dict[str, tuple[str, ...]]:
    zones: dict[str, list[str]] = {}
    for code, principal in _PRINCIPAL_ZONES.items():
        zones[code] = principal.split()
    for row in _rows("zone.tab"):
        if len(row) > 2:
            zones.setdefault(row[0].casefold(), []).append(row[2])
    names = {code: code for code in zones}
    for row in _rows("iso3166.tab"):
        if len(row) > 1:
            names[_fold(row[1])] = row[0].casefold()
    for entry in _COUNTRY_NAMES.split("/"):
        code, _, name = entry.partition(" ")
        names[name] = code
    return {name: _unique(zones[code]) for name, code in names.items() if code in zones}


@functools.cache
def _towns() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for zone, names in _TOWNS.items():
        for name in names.split("/"):
            found.setdefault(name, []).append(zone)
    for row in _rows("zone.tab"):
        if len(row) > 2:
            found.setdefault(_fold(row[2].rsplit("/", 1)[-1]), []).append(row[2])
    return {name: _unique(zones) for name, zones in found.items()}


def _rows(name: str) -> Iterator[list[str]]:
    """The rows of a table of the time zone database; none where this host has no such table."""
    for line in _table(name).splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


@functools.cache
def _table(name: str) -> str:
    for folder in zoneinfo.TZPATH:
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                return file.read(_FILE_BYTES_MAX)
        except OSError:
            continue
    try:
        table = importlib.resources.files("tzdata.zoneinfo").joinpath(name)
        return table.read_text(encoding="utf-8")[:_FILE_BYTES_MAX]
    except (ImportError, OSError):
        return ""


def _parts(place: str) -> list[str]:
    parts = [_fold(part) for part in place.split(",")]
    words = parts[-1].split()
    # `Dallas TX` without the comma.
    if len(words) > 1 and len(words[-1]) == 2 and parts[-1] not in _towns():
        parts[-1:] = [" ".join(words[:-1]), words[-1]]
    return [part for part in parts if part]


def _fold(name: str) -> str:
    """Letters only in one form: `São_Paulo` and `Sao Paulo` are the same town."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return " ".join(plain.replace("_", " ").replace(".", "").casefold().split())


def _names(state: str) -> tuple[str, str]:
    code, _, name = state.partition(" ")
    return code, name


def _unique(zones: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(zones))
