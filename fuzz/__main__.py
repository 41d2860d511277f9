"""`./run fuzz`: feed each target for some minutes, with libFuzzer if atheris is installed.

A failing input is kept below .cache/fuzz. Move it to fuzz/corpus/<target>-<what is wrong>, repair
the code, and the heavy tests run it from then on.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from fuzz.rounds import CORPUS, kept, with_hypothesis
from fuzz.targets import TARGETS

WORK = CORPUS.parents[1] / ".cache" / "fuzz"
EXAMPLES = 2000  # of one round of hypothesis
MAX_LENGTH = 800  # bytes of an input of libFuzzer


def main() -> None:
    """Fuzz the chosen targets; the status is 1 if one failed."""
    parser = argparse.ArgumentParser(prog="./run fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)} [all]")
    parser.add_argument("--minutes", type=float, default=5, help="of all targets together [5]")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no target {unknown[0]}; expected {', '.join(TARGETS)}")
    cores = min(len(names), os.cpu_count() or 1)
    seconds = max(1, round(options.minutes * 60 * cores / len(names)))
    fuzz = libfuzzer if importlib.util.find_spec("atheris") else hypothesis
    print(f"fuzz: {', '.join(names)}: {seconds} s each, with {fuzz.__name__}", flush=True)
    with ThreadPoolExecutor(cores) as pool:
        good = list(pool.map(lambda name: fuzz(name, seconds), names))
    for name, is_good in zip(names, good, strict=True):
        print(f"fuzz: {name}: {'no failure' if is_good else 'FAILED'}")
    sys.exit(not all(good))


def libfuzzer(name: str, seconds: int) -> bool:
    """Fuzz a target with libFuzzer, which keeps what reaches new code for its next run."""
    corpus = WORK / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate((*TARGETS[name].seeds, *kept(name).values())):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = WORK / f"{name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in TARGETS[name].words if word))
    command = [
        *(sys.executable, "-m", "fuzz.libfuzzer", name, str(corpus)),
        *(f"-max_total_time={seconds}", f"-max_len={MAX_LENGTH}", f"-dict={words}"),
        *(f"-artifact_prefix={WORK}/{name}-", "-timeout=20", "-print_final_stats=1"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    lines = done.stderr.splitlines()
    shown = [line for line in lines if line.startswith("stat::number_of_exec")]
    print("\n".join([f"fuzz: {name}", *(lines[-60:] if done.returncode else shown)]), flush=True)
    return done.returncode == 0


def _escaped(word: bytes) -> str:
    return "".join(
        chr(b) if 0x20 <= b < 0x7F and chr(b) not in '"\\' else f"\\x{b:02x}" for b in word
    )


def hypothesis(name: str, seconds: int) -> bool:
    """Fuzz a target with hypothesis, which prints a failing input."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with_hypothesis(name, EXAMPLES)
        except Exception:  # noqa: BLE001 - any is a failure of the target
            traceback.print_exc()
            return False
    return True


if __name__ == "__main__":
    main()
