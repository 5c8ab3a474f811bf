# SPDX-License-Identifier: BSD-2-Clause
"""Pictures of the results (matplotlib)."""
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def bars(rows, path):
    """XINIM over Linux for each row, on a logarithmic axis: right of 1 is better."""
    rows = [row for row in rows if row.ratio()]
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(9, 1 + 0.35 * len(rows)))
    ratios = [row.ratio() for row in rows]
    axes.barh([row.name for row in rows], ratios, left=0, color=["#2b7a4b" if r >= 1 else "#b5532a" for r in ratios])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("XINIM relative to Linux (above 1: better)")
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
