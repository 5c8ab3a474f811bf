# SPDX-License-Identifier: BSD-2-Clause
"""Pictures of the results (matplotlib). Each function says whether there was something to draw."""
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = {"XINIM": "#2b7a4b", "Linux": "#b5532a"}


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return True


def grid(count, height):
    """A figure with so many places for pictures, two in a row; and the places."""
    figure, places = plt.subplots((count + 1) // 2, 2, figsize=(12, height * ((count + 1) // 2)), squeeze=False)
    places = list(places.flat)
    for place in places[count:]:
        place.set_axis_off()
    return figure, places


def bars(rows, path):
    """XINIM over Linux for each row, on a logarithmic axis: right of 1 is better."""
    rows = [row for row in rows if row.ratio()]
    if not rows:
        return False
    figure, axes = plt.subplots(figsize=(9, 1 + 0.35 * len(rows)))
    ratios = [row.ratio() for row in rows]
    axes.barh([row.name for row in rows], ratios, left=0, color=[COLOURS["XINIM" if r >= 1 else "Linux"] for r in ratios])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("XINIM relative to Linux (above 1: better)")
    axes.invert_yaxis()
    return save(figure, path)


def latency(rows, path):
    """The time that one request of a disk takes, by percentile, for each row whose requests are counted."""
    rows = [row for row in rows if row.unit == "IOPS" and all("percentiles_us" in row.details.get(s, {}) for s in COLOURS)]
    if not rows:
        return False
    figure, places = grid(len(rows), 2.2)
    for row, axes in zip(rows, places):
        for system, colour in COLOURS.items():
            times = row.details[system]["percentiles_us"]
            axes.plot(list(times), list(times.values()), color=colour, marker="o", label=system)
        axes.set_yscale("log")
        axes.set_title(row.name, fontsize=9)
        axes.set_ylabel("µs")
        axes.legend(fontsize=8)
    return save(figure, path)


def courses(rows, path):
    """Throughput over time while a service is killed again and again; a mark where it was."""
    found = [(row.name, row.details["XINIM"]["course"]) for row in rows if "course" in row.details.get("XINIM", {})]
    if not found:
        return False
    figure, places = grid(len(found), 2)
    for (name, course), axes in zip(found, places):
        axes.plot(*zip(*course["points"]), color=COLOURS["XINIM"])
        for kill in (at for at in course["kills"] if 0 <= at <= course["points"][-1][0]):
            axes.axvline(kill, color=COLOURS["Linux"], linewidth=1, linestyle="dashed")
        axes.set_ylim(bottom=0)
        axes.set_title(name, fontsize=9)
        axes.set_ylabel(course["unit"])
        axes.set_xlabel("s", loc="right")
    return save(figure, path)
