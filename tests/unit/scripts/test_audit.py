"""`make audit` tells a fault that was found from a service that did not answer."""

import pytest

from scripts.audit import judge


@pytest.mark.parametrize(
    ("status", "errors", "judged"),
    [
        (0, "No known vulnerabilities found", 0),
        (1, "Found 2 known vulnerabilities in 1 package", 1),
        (1, "ERROR:pip_audit._cli:aiofiles: Dependency not found on PyPI and could not be audited: aiofiles (25.1.0)", 2),
        (1, "requests.exceptions.ConnectionError: HTTPSConnectionPool(): Max retries exceeded with url: /v1/query", 2),
        (1, "Found 1 known vulnerability in 1 package\nx could not be audited", 1),
    ],
)
def test_what_could_not_be_looked_at_is_neither_clean_nor_faulty(status: int, errors: str, judged: int) -> None:
    """0 where nothing is known, 1 where something is, 2 where nobody could say."""
    assert judge(status, errors) == judged
