"""Look for known vulnerabilities in an environment, and tell a finding from a closed network.

`pip-audit` ends with 1 for both. A finding must turn the build red, a network that cannot be reached
must not; anything else that keeps the audit from answering is red as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SERVICE = "https://pypi.org/pypi/pip/json"
"""What pip-audit asks, per package; reachable or not decides between red and skipped."""
NETWORK_FAULTS = ("SSLError", "ProxyError", "ConnectionError", "ConnectTimeout", "Max retries exceeded")
"""Faults of the way to the service: a proxy with a certificate that only the system knows is one of them."""


def main(environment: Path) -> int:
    """Audit the packages of a virtual environment; return 0 (clean or not reachable) or 1."""
    (site_packages,) = environment.glob("lib/python*/site-packages")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [
            *(sys.executable, "-m", "pip_audit", "--progress-spinner", "off"),
            *("--path", str(site_packages), "--format", "json", "--output", str(report)),
        ]
        audit = subprocess.run(command, capture_output=True, text=True, check=False)
        found = _read(report)
    return _no_answer(audit.stderr) if found is None else verdict(found)


def verdict(packages: list[dict[str, Any]]) -> int:
    """Print what pip-audit found out about the packages; 1 when any of them is known to be vulnerable."""
    vulnerable = [package for package in packages if package.get("vulns")]
    audited = [package for package in packages if "skip_reason" not in package]
    for package in vulnerable:
        for item in package["vulns"]:
            fixed = ", ".join(item["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {item['id']}, fixed in {fixed}")
    if vulnerable:
        print(f"Audit: {len(vulnerable)} of {len(audited)} packages have known vulnerabilities.")
        return 1
    if not audited:
        print(
            f"Audit: NOT DONE, the service answers but knows none of the {len(packages)} packages. Not red."
        )
        return 0
    unknown = ", ".join(sorted(package["name"] for package in packages if "skip_reason" in package))
    print(f"Audit: {len(audited)} packages, no known vulnerability (unknown there: {unknown or 'none'}).")
    return 0


def _read(report: Path) -> list[dict[str, Any]] | None:
    """The audited packages, or None when pip-audit came to no answer."""
    try:
        packages: list[dict[str, Any]] = json.loads(report.read_text())["dependencies"]
    except (OSError, ValueError, KeyError):
        return None
    return packages


def _no_answer(stderr: str) -> int:
    """Red when the service can be reached, so that the fault is not the network's."""
    last = (stderr.strip().splitlines() or ["it said nothing"])[-1]
    if any(sign in last for sign in NETWORK_FAULTS):
        print(f"Audit: NOT DONE, pip-audit could not reach the service: {last} Not red.")
        return 0
    try:
        urllib.request.urlopen(SERVICE, timeout=20).close()
    except (urllib.error.URLError, OSError) as error:
        print(f"Audit: NOT DONE, the vulnerability service cannot be reached ({error}). Not red.")
        return 0
    print(f"Audit: pip-audit failed although the service can be reached: {last}")
    return 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: audit.py ENVIRONMENT")
    sys.exit(main(Path(sys.argv[1])))
