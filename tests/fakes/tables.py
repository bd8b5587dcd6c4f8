"""Sources of table data in the form that their publishers give them, made by hand."""

import json

from forestall.audit.tables.fetch import File
from forestall.audit.tables.nouns import day


def osv(name, el, fixed, date, titles, package="kernel"):
    """One advisory of AlmaLinux's OSV database; `titles` by CVE."""
    lines = "\n\n".join(f"* {title} ({cve})" for cve, title in titles.items())
    return {
        "id": name,
        "summary": "Important: kernel security update",
        "affected": [
            {
                "package": {"ecosystem": f"AlmaLinux:{el}", "name": one},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}
                ],
            }
            for one in ("bpftool", package)
        ],
        "related": list(titles),
        "published": f"{date}T08:11:36Z",
        "modified": f"{date}T08:11:35Z",
        "details": f"The kernel packages.\n\nSecurity Fix(es):\n\n{lines}\n\nFor more, see below.",
        "references": [],
    }


def red_hat_cve(name, title, releases, vector="CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H"):
    """One CVE of Red Hat's security data; `releases` are (product, day, advisory, package)."""
    return {
        "affected_release": [
            {
                "product_name": product,
                "release_date": f"{date}T00:00:00Z",
                "advisory": advisory,
                "package": package,
                "cpe": "cpe:/o:redhat:enterprise_linux:7",
            }
            for product, date, advisory, package in releases
        ],
        "package_state": None,
        "threat_severity": "Moderate",
        "public_date": "2026-01-01T00:00:00Z",
        "bugzilla": {"description": f"{name} kernel: {title}", "id": "1", "url": ""},
        "cvss3": {"cvss3_base_score": "5.5", "cvss3_scoring_vector": vector},
        "name": name,
    }


def file_of(name, document, on="2026-09-01"):
    """A file of a source that was changed on a day."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return File(name=name, data=data, at=day(on))
