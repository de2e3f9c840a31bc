import subprocess
import sys

import pytest

from scopedtools import Principal
from scopedtools.auth import StaticTokens
from scopedtools.types import TokenVerifier

pytestmark = pytest.mark.anyio


async def test_a_known_token_is_its_principals() -> None:
    verifier: TokenVerifier = StaticTokens({"s3cret": Principal("ann", frozenset({"orders"}))})

    assert await verifier.verify("s3cret") == Principal("ann", frozenset({"orders"}))


@pytest.mark.parametrize("token", ["", "s3cre", "s3cret ", "S3CRET", "s3crèt"])
async def test_an_unknown_token_is_nobodys(token: str) -> None:
    assert await StaticTokens({"s3cret": Principal("ann")}).verify(token) is None


def test_what_verifies_jwts_is_imported_by_who_uses_it() -> None:
    code = (
        "import sys, scopedtools.auth;"
        "print(sorted({'jwt', 'httpx2', 'scopedtools.auth.jwt'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed == "[]\n"


def test_a_missing_library_names_the_extra_that_brings_it() -> None:
    code = (
        "import sys; sys.modules['jwt'] = None\n"
        "from scopedtools.exceptions import MissingDependencyError\n"
        "try:\n    import scopedtools.auth.jwt\n"
        "except MissingDependencyError as error:\n    print(error)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert 'run pip install "scopedtools[auth]"' in printed
