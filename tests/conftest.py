"""Under pytest, the annotations of all tensor code are checked at run time, shapes included.

Packages that meet users are left out: they answer bad input with a sentence of their own, which
a check of the annotations would pre-empt.
"""

from jaxtyping import install_import_hook

# installed before anything imports the package; the hook stays for the whole run
install_import_hook(
    [
        f"atomplete.{part}"
        for part in ("basis", "models", "o3", "representations", "system", "testing")
    ],
    "beartype.beartype",
)
