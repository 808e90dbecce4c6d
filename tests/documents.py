"""Documents for tests, made on the spot."""

import zlib
from collections.abc import Sequence

from fpdf import FPDF
from fpdf.enums import AccessPermission


def make_pdf(
    *pages: Sequence[str], table: Sequence[Sequence[str]] = (), password: str = ""
) -> bytes:
    """A PDF whose pages hold these lines, and a table on the last one."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=10)
    if password:
        pdf.set_encryption(
            owner_password=password, user_password=password, permissions=AccessPermission.none()
        )
    for lines in pages or ((),):
        pdf.add_page()
        for line in lines:
            pdf.cell(text=line)
            pdf.ln()
    if table:
        with pdf.table() as drawn:
            for cells in table:
                row = drawn.row()
                for cell in cells:
                    row.cell(cell)
    return bytes(pdf.output())


def make_picture_pdf(*, of_picture: bytes = b"/FlateDecode", of_page: bytes = b"[]") -> bytes:
    """A PDF of one page that is a picture, as a scanner makes it, with these filters."""
    picture = zlib.compress(bytes(4))
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 5 0 R"
        b" /Resources << /XObject << /Im0 4 0 R >> >> >>",
        b"<< /Type /XObject /Subtype /Image /Width 2 /Height 2 /BitsPerComponent 8"
        b" /ColorSpace /DeviceGray /Filter %s /Length %d >>\nstream\n%s\nendstream"
        % (of_picture, len(picture), picture),
        b"<< /Length 26 /Filter %s >>\nstream\nq 99 0 0 99 0 0 cm /Im0 Do\nendstream" % of_page,
    ]
    out = b"%PDF-1.4\n"
    offsets = []
    for number, part in enumerate(parts, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(parts) + 1,
        start,
    )
    return out
