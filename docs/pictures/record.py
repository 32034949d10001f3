#!/usr/bin/env python3
"""Records `bulla demo` as an SVG of a terminal: docs/pictures/demo.svg, and demo-narrow.svg for narrow screens.

    cargo build --release --bin bulla && docs/pictures/record.py [target/release/bulla]

It runs the real command in a terminal of its own and draws what that shows: lines come at the pace at which they were
printed, slowed down to be read, wrapped between words, and the picture scrolls. Folders, ids and keys get fixed names
and nothing else is changed, so that two recordings differ only where the program does. Only Python is needed.
"""

import fcntl
import hashlib
import html
import os
import pathlib
import pty
import re
import struct
import sys
import termios
import time

HERE = pathlib.Path(__file__).resolve().parent
# Name, columns and rows. A page of GitHub is about as wide as the first.
PICTURES = [("demo.svg", 100, 32), ("demo-narrow.svg", 54, 34)]
SIZE, ADVANCE, LEADING = 14, 8.43, 19
PAD, BAR, DESCENT = 18, 30, 5
# Seconds: a line, a command, the beginning of a step, the last picture.
LINE, COMMAND, STEP, REST = 0.16, 0.55, 1.1, 6.0
COLOURS = {"30": "#484f58", "31": "#ff7b72", "32": "#56d364", "33": "#e3b341", "34": "#79c0ff", "35": "#d2a8ff",
           "36": "#56d4dd", "37": "#c9d1d9"}


def record(command):
    """What the command writes to a terminal, and how it ends."""
    _, columns, rows = PICTURES[0]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(columns))
        os.environ.pop("NO_COLOR", None)
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    said = b""
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:
            break
        if not some:
            break
        said += some
    _, status = os.waitpid(pid, 0)
    return said.decode("utf-8", "replace").replace("\r\n", "\n"), os.waitstatus_to_exitcode(status)


def settle(text):
    """Names for what is by chance: folders, keys, commits, ports, times."""
    text = re.sub(r"bulla-demo-[A-Za-z0-9]{4}\b", "bulla-demo", text)
    given = set()
    for digits in (40, 16, 12, 8):
        for found in re.findall(rf"(?:(?<=\x1b\[\dm)|\b)[0-9a-f]{{{digits}}}\b", text):
            if found.isdigit() or found in given or found not in text:
                continue
            name = hashlib.sha256(b"%d" % len(given)).hexdigest()
            # The beginning of an id stays the beginning of it.
            for part in (digits, 12, 8):
                if part <= digits:
                    text = text.replace(found[:part], name[:part])
                    given.add(name[:part])
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", text)
    text = re.sub(r"after \d+ ms", "after 104 ms", text)
    text = re.sub(r"\(\d\.\d\d s\)", "(0.03 s)", text)
    text = re.sub(r"\(asked \d+ s ago\)", "(asked 0 s ago)", text)
    text = re.sub(r"since \d+ s ago", "since 0 s ago", text)
    return re.sub(r"\b20\d\d-\d\d-\d\d\b", "2026-11-21", text)


def spans(line):
    """The line as pieces of text with a style each."""
    style, pieces = frozenset(), []
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            for code in part[2:-1].split(";"):
                if code in ("", "0"):
                    style = frozenset()
                elif code == "1":
                    style = style | {"b"}
                elif code == "2":
                    style = style | {"d"}
                elif code in COLOURS:
                    style = frozenset(it for it in style if not it.startswith("c")) | {"c" + code}
        elif part:
            pieces.append((part, style))
    return pieces


def wrapped(pieces, columns):
    """The pieces as lines of so many columns, those that go on a little further in than the first."""
    text = "".join(part for part, _ in pieces)
    indent = min(len(text) - len(text.lstrip()) + 2, columns // 2)
    words = [(word, style) for part, style in pieces for word in re.findall(r"\s+|[^\s]+", part)]
    lines, used = [[]], 0
    # A word of two styles is not torn where the styles change.
    for number, (word, style) in enumerate(words):
        whole = 0
        for later, _ in words[number:]:
            if later.isspace():
                break
            whole += len(later)
        begins = number == 0 or words[number - 1][0].isspace()
        if begins and used + whole > columns and used > indent:
            lines.append([(" " * indent, frozenset())])
            used = indent
        if word.isspace() and used + len(word) > columns:
            continue
        while used + len(word) > columns:
            lines[-1].append((word[:columns - used], style))
            word = word[columns - used:]
            lines.append([(" " * indent, frozenset())])
            used = indent
        lines[-1].append((word, style))
        used += len(word)
    return [joined(line) for line in lines]


def joined(pieces):
    """Neighbours of one style as one piece, without blanks at the end."""
    out = []
    for part, style in pieces:
        if out and (out[-1][1] == style or part.isspace()):
            out[-1] = (out[-1][0] + part, out[-1][1])
        else:
            out.append((part, style))
    while out and not out[-1][0].strip():
        out.pop()
    return [*out[:-1], (out[-1][0].rstrip(), out[-1][1])] if out else []


def draw(lines, columns, height_in_rows):
    """The SVG."""
    width = round(columns * ADVANCE + 2 * PAD)
    height = height_in_rows * LEADING + BAR + PAD
    shown, moments, now, scrolls = [], [], 0.4, [(0.0, 0)]
    for line in lines:
        rows = wrapped(spans(line), columns)
        shown.extend(rows)
        moments.extend([now] * len(rows))
        hidden = max(0, len(shown) - height_in_rows)
        if hidden > scrolls[-1][1]:
            scrolls.append((now, hidden))
        bare = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if re.match(r"\d+\. ", bare):
            now += STEP
        elif bare.lstrip().startswith("$ ") or bare.startswith("   ✓"):
            now += COMMAND
        elif bare:
            now += LINE * len(rows)
    total = now + REST
    percent = lambda moment: f"{100 * moment / total:.2f}%"
    rows = []
    for number, pieces in enumerate(shown):
        text = "".join(
            f'<tspan class="{" ".join(sorted(style))}">{html.escape(part, quote=False)}</tspan>' if style
            else html.escape(part, quote=False)
            for part, style in pieces
        )
        if text:
            # Above the line, so that of a row that is rolled out nothing hangs in.
            y = (number + 1) * LEADING - DESCENT
            rows.append(f'<text y="{y}" style="animation-delay:{moments[number]:.2f}s">{text}</text>')
    frames, last = [], 0
    for moment, hidden in scrolls:
        frames.append(f"{percent(moment)}{{transform:translateY({-hidden * LEADING}px)}}")
        last = hidden
    frames.append(f"100%{{transform:translateY({-last * LEADING}px)}}")
    colours = "".join(f".c{code}{{fill:{colour}}}" for code, colour in COLOURS.items())
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>bulla demo in a terminal</title>
<style>
text{{font:{SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#c9d1d9;white-space:pre;animation:come .01s both}}
.b{{font-weight:700}}.d{{fill:#8b949e}}{colours}
@keyframes come{{from{{opacity:0}}to{{opacity:1}}}}
#roll{{transform:translateY({-last * LEADING}px);animation:roll {total:.1f}s step-end both}}
@keyframes roll{{{"".join(frames)}}}
@media (prefers-reduced-motion:reduce){{text,#roll{{animation:none}}}}
</style>
<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" fill="#0d1117" stroke="#3d444d"/>
<circle cx="20" cy="15" r="5" fill="#ff5f57"/><circle cx="38" cy="15" r="5" fill="#febc2e"/><circle cx="56" cy="15" r="5" fill="#28c840"/>
<svg x="{PAD}" y="{BAR + DESCENT}" width="{width - PAD}" height="{height_in_rows * LEADING + 6}"><g id="roll" xml:space="preserve">
{chr(10).join(rows)}
</g></svg>
</svg>
"""


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent.parent / "target/release/bulla").resolve()
    if not program.exists():
        sys.exit(f"{program} is not there: cargo build --release --bin bulla")
    began = time.monotonic()
    text, code = record([str(program), "demo"])
    if code != 0:
        sys.exit(f"{text}\nthe demo ended with {code}")
    lines = ["\x1b[2m$\x1b[0m bulla demo"] + settle(text).rstrip("\n").split("\n")
    took = time.monotonic() - began
    for name, columns, rows in PICTURES:
        picture = draw(lines, columns, rows)
        (HERE / name).write_text(picture)
        print(f"docs/pictures/{name}: {len(lines)} lines, {len(picture) // 1024} kB; the demo took {took:.1f} s")


if __name__ == "__main__":
    main()
