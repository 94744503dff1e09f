#!/usr/bin/env python3
"""Scores `loghound templates` on labelled lines: GA and FGA against the original labels, PA and FTA against the
corrected ones.  Standard library only.

  eval.py LOGHOUND SHARED [--raw]

LOGHOUND is the program, SHARED the directory that holds loghub/ (its template_eval.py does the scoring). The program
gets each system's Content column in file order, or with --raw the lines as they were logged.
"""
import csv
import os
import subprocess
import sys
import tempfile


def main():
    raw = "--raw" in sys.argv
    program, shared = [a for a in sys.argv[1:] if not a.startswith("-")]
    loghub = os.path.join(shared, "loghub")
    if not os.path.isdir(loghub):
        return print("SKIPPED: no labelled lines in", loghub)
    with tempfile.TemporaryDirectory() as parsed:
        for name in sorted(os.listdir(loghub)):
            truth = os.path.join(loghub, name, name + "_2k.log_structured.csv")
            if not os.path.exists(truth):
                continue
            with open(truth, newline="", encoding="utf-8", errors="replace") as f:
                rows = list(csv.DictReader(f))
            if raw:
                with open(os.path.join(loghub, name, name + "_2k.log"), "rb") as f:
                    lines = f.read()
            else:
                lines = "".join(r["Content"].replace("\n", " ") + "\n" for r in rows).encode()
            done = subprocess.run([program, "templates", "-"], input=lines, capture_output=True, check=True)
            found = list(csv.DictReader(done.stdout.decode().splitlines()))
            if len(found) != len(rows):
                sys.exit("%s: %d lines in, %d out" % (name, len(rows), len(found)))
            with open(os.path.join(parsed, name + ".csv"), "w", newline="", encoding="utf-8") as f:
                out = csv.writer(f)
                out.writerow(["LineId", "EventId", "EventTemplate"])
                for row, got in zip(rows, found):
                    out.writerow([row["LineId"], got["template_id"], got["template"]])
        score = [sys.executable, os.path.join(loghub, "template_eval.py"), "--truth-dir", loghub, "--parsed-dir", parsed]
        print("original labels (read GA and FGA)", flush=True)
        subprocess.run(score, check=True)
        print("corrected labels (read PA and FTA)", flush=True)
        subprocess.run(score + ["--truth-suffix", "_2k.log_structured_corrected.csv"], check=True)


if __name__ == "__main__":
    main()
