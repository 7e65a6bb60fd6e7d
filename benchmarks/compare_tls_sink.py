"""A sink that speaks TLS from the first byte: that of the demo, with a certificate made for it.

    python -m benchmarks.compare_tls_sink CAFILE

The first line on standard output is its port. It ends with its standard input.
"""

import asyncio
import ssl
import sys

import trustme

from aiosmtplib._cli.demo_sink import serve


def main() -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(sys.argv[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    asyncio.run(serve(sys.stdin, sys.stdout, context))


if __name__ == "__main__":
    main()
