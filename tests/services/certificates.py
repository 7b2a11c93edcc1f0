# SPDX-License-Identifier: Apache-2.0
"""Certificates for a few days, made by openssl in a test's own directory."""
import pathlib
import subprocess
import typing

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Certificate(typing.NamedTuple):
    """Files, PEM; the key is PKCS #8."""

    key: pathlib.Path
    cert: pathlib.Path


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL,
                   capture_output=True)


class Authority:
    """Signs what it makes. `cert` is what those who trust it are given."""

    def __init__(self, directory, name):
        self.directory = pathlib.Path(directory)
        self.key, self.cert = self._files(name)
        openssl("req", "-x509", *CURVE, "-keyout", self.key, "-out", self.cert, "-days", "3",
                "-subj", f"/CN=test {name}", "-addext", "keyUsage=critical,keyCertSign")

    def _files(self, name):
        return Certificate(self.directory / f"{name}.key", self.directory / f"{name}.pem")

    def certificate(self, name, alternative_name):
        """For one such as "DNS:localhost"."""
        made = self._files(name)
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        openssl("req", *CURVE, "-keyout", made.key, "-out", request, "-subj", f"/CN=test {name}")
        extensions.write_text(f"subjectAltName={alternative_name}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key,
                "-CAcreateserial", "-days", "3", "-extfile", extensions, "-out", made.cert)
        return made
