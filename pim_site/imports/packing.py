"""A file on its way through the page that shows what it would do: nothing is kept between the two steps."""

import base64
import binascii
import zlib

from django.utils.translation import gettext as _

from pim_site.ascode.document import Fault, FileRefused

from .rows import LARGEST_FILE

# With the rest of the form it stays below DATA_UPLOAD_MAX_MEMORY_SIZE.
LONGEST = 2_500_000


def packed(content: bytes) -> str:
    """Return a file as text of a hidden field.

    Raises:
        FileRefused: it is too large for that.
    """
    text = base64.b64encode(zlib.compress(content)).decode("ascii")
    if len(text) > LONGEST:
        raise FileRefused([Fault(0, _("The file is too large. Divide it."))])
    return text


def unpacked(text: str) -> bytes:
    """Return the file again.

    Raises:
        FileRefused: this is none; whoever sends the form may have written anything.
    """
    try:
        unpacking = zlib.decompressobj()
        return unpacking.decompress(base64.b64decode(text, validate=True), LARGEST_FILE + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise FileRefused([Fault(0, _("The file did not arrive. Choose it again."))]) from error
