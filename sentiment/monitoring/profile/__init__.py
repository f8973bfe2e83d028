"""The data profile: what the tweets look like as a whole, before anybody trains on them.

    from sentiment.profile import keep, measure, write_page

    figures = measure(home)
    keep(home, figures)
    write_page(home.reports / "profile.html", figures)

Every figure is one row of `profile_figures`, so that the page shows nothing that SQL cannot: the page is one file, holds
its pictures as SVG, and loads nothing from anywhere. Nobody is named in it: mentions are one word, users are counted.

    figures     runs `sql/steps/profile_*.sql` on the published snapshot, one section each
    findings    sentences on what stands out, from thresholds that are written there
    charts      figures as SVG whose colours follow the page, light or dark
    page        all of it as one HTML file, and the short form for Prefect's pages

1.6 million tweets take 33 s of processor time, 20 s on two cores, and 830 MB at most (`benchmarks/profile.py`).
"""

from sentiment.monitoring.profile.figures import Figures, keep, measure
from sentiment.monitoring.profile.findings import findings
from sentiment.monitoring.profile.page import profile_markdown, write_page

__all__ = ["Figures", "findings", "keep", "measure", "profile_markdown", "write_page"]
