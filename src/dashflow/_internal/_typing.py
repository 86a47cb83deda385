"""``MISSING`` at the path from which third-party channels import it. Nothing else lives here."""

from dashflow._util.sentinel import MISSING

__all__ = ("MISSING",)
