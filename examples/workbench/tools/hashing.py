"""Tools for digests, checksums and message authentication codes, of text and of sandbox files."""

import hashlib
import hmac
import uuid
import zlib
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from examples.workbench.sandbox import SandboxPath, clear_errors, existing_file

Text = Annotated[str, Field(max_length=200_000)]
Key = Annotated[str, Field(min_length=1, max_length=1_000)]
Digest = Annotated[str, Field(min_length=1, max_length=1_000)]
Algorithm = Literal[
    "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "blake2s"
]

_MAX_FILE = 100_000_000


@dataclass(frozen=True)
class FileDigest:
    path: str
    algorithm: str
    digest: str
    bytes: int


@dataclass(frozen=True)
class Checksum:
    decimal: int
    hexadecimal: str


def _checksum(number: int) -> Checksum:
    return Checksum(number, f"{number:08x}")


def sha256_hash(text: Text) -> str:
    """Compute the SHA-256 hash of a text, in hexadecimal.

    Args:
        text: The text to hash.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def sha512_hash(text: Text) -> str:
    """Compute the SHA-512 hash of a text, in hexadecimal.

    Args:
        text: The text to hash.
    """
    return hashlib.sha512(text.encode()).hexdigest()


def sha1_hash(text: Text) -> str:
    """Compute the SHA-1 hash of a text, in hexadecimal; for old formats, not for security.

    Args:
        text: The text to hash.
    """
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def md5_hash(text: Text) -> str:
    """Compute the MD5 hash of a text, in hexadecimal; for old formats, not for security.

    Args:
        text: The text to hash.
    """
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def sha3_hash(text: Text, bits: Literal[224, 256, 384, 512] = 256) -> str:
    """Compute the SHA-3 hash of a text, in hexadecimal.

    Args:
        text: The text to hash.
        bits: How long the hash is.
    """
    return hashlib.new(f"sha3_{bits}", text.encode()).hexdigest()


def blake2b_hash(
    text: Text,
    digest_bytes: Annotated[int, Field(ge=1, le=64)] = 64,
    key: Annotated[str, Field(max_length=64)] = "",
) -> str:
    """Compute the BLAKE2b hash of a text, in hexadecimal, with a key if one is given.

    Args:
        text: The text to hash.
        digest_bytes: How many bytes the hash has.
        key: A secret of at most 64 bytes that makes it an authentication code.
    """
    return hashlib.blake2b(text.encode(), digest_size=digest_bytes, key=key.encode()).hexdigest()


def crc32_checksum(text: Text) -> Checksum:
    """Compute the CRC-32 checksum of a text, as zip and gzip use it.

    Args:
        text: The text to check.
    """
    return _checksum(zlib.crc32(text.encode()))


def adler32_checksum(text: Text) -> Checksum:
    """Compute the Adler-32 checksum of a text, as zlib uses it.

    Args:
        text: The text to check.
    """
    return _checksum(zlib.adler32(text.encode()))


def hmac_sign(text: Text, key: Key, algorithm: Algorithm = "sha256") -> str:
    """Sign a text with a secret key: compute its HMAC, in hexadecimal.

    Args:
        text: The message.
        key: The secret.
        algorithm: The hash function to use.
    """
    return hmac.new(key.encode(), text.encode(), algorithm).hexdigest()


def hmac_verify(text: Text, key: Key, signature: Digest, algorithm: Algorithm = "sha256") -> bool:
    """Check whether an HMAC signature fits a text and a secret key, such as that of a webhook.

    Args:
        text: The message.
        key: The secret.
        signature: The signature in hexadecimal.
        algorithm: The hash function that made it.
    """
    return digests_equal(hmac_sign(text, key, algorithm), signature)


def digests_equal(first: Digest, second: Digest) -> bool:
    """Check whether two hashes in hexadecimal are the same, ignoring case and spaces.

    Args:
        first: One hash.
        second: The other hash.
    """
    left, right = ("".join(digest.split()).lower().encode() for digest in (first, second))
    return hmac.compare_digest(left, right)


def file_hash(path: SandboxPath, algorithm: Algorithm = "sha256") -> FileDigest:
    """Compute the hash of a file in the workbench folder.

    Args:
        path: The file, relative to the workbench folder, at most 100 MB.
        algorithm: The hash function to use.
    """
    target = existing_file(path)
    with clear_errors(path), target.open("rb") as stream:
        size = target.stat().st_size
        if size > _MAX_FILE:
            raise ValueError(f"{path!r} must be at most {_MAX_FILE:,} bytes, it has {size:,}")
        return FileDigest(path, algorithm, hashlib.file_digest(stream, algorithm).hexdigest(), size)


def file_checksum_matches(path: SandboxPath, expected: Digest, algorithm: Algorithm = "sha256") -> bool:
    """Verify that a file in the workbench folder has the hash that was published for it.

    Args:
        path: The file, relative to the workbench folder, at most 100 MB.
        expected: The published hash in hexadecimal.
        algorithm: The hash function that made it.
    """
    return digests_equal(file_hash(path, algorithm).digest, expected)


def uuid_from_name(
    name: Annotated[str, Field(min_length=1, max_length=2_000)],
    namespace: Literal["dns", "url", "oid", "x500"] = "url",
    version: Literal[3, 5] = 5,
) -> str:
    """Derive a UUID from a name, always the same for the same name (version 3 or 5).

    Args:
        name: The name, such as an address.
        namespace: What kind of name it is.
        version: 5 hashes with SHA-1, 3 with MD5.
    """
    space = {"dns": uuid.NAMESPACE_DNS, "url": uuid.NAMESPACE_URL, "oid": uuid.NAMESPACE_OID}
    derive = uuid.uuid5 if version == 5 else uuid.uuid3
    return str(derive(space.get(namespace, uuid.NAMESPACE_X500), name))


def pbkdf2_derive(
    password: Key,
    salt: Annotated[str, Field(min_length=1, max_length=200)],
    iterations: Annotated[int, Field(ge=1, le=1_000_000)] = 600_000,
    length: Annotated[int, Field(ge=1, le=128)] = 32,
) -> str:
    """Derive a key from a password and a salt with PBKDF2-HMAC-SHA256, in hexadecimal.

    Args:
        password: The password.
        salt: The salt, as text.
        iterations: How often to hash; more is slower to attack.
        length: How many bytes the key has.
    """
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), iterations, length).hex()
