"""What MkDocs calls while it builds the site: pages from the code, lists as GitHub reads them, links out of docs/."""

from __future__ import annotations

import logging

from markdown import Extension, Markdown
from markdown.blockprocessors import build_block_parser
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.building import links, models, notebooks, python, tables

_logger = logging.getLogger("mkdocs.mammosynth")  # below MkDocs' own, so that a warning fails a strict build
_SOURCES: dict[str, str] = {}  # of pages that stand elsewhere in the repository: where


class _TwoSpaces(Extension):
    """What belongs to an entry of a list is indented by two spaces or three, as GitHub has it."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the library's name
        md.tab_length = 2
        md.parser = build_block_parser(md)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the pages that are made."""
    config.markdown_extensions.insert(0, _TwoSpaces())
    sections = {name: entries for section in config.nav or [] for name, entries in section.items()}
    sections["Tutorials"] += notebooks.names()
    sections["Models"] += [{name: f"models/{name}.md"} for name in models.cards()]
    sections["Models"].append({"Reports": models.reports()})
    sections["Reference"].append({"Python": ["reference/python/index.md", *python.names()]})
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add them."""
    made = {
        **notebooks.pages(),
        **python.pages(),
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    for name, source in links.PAGES_ELSEWHERE.items():
        _SOURCES[name] = source
        files.append(File.generated(config, name, content=(links.ROOT / source).read_text(encoding="utf-8")))
    for name, source in links.pictures_elsewhere().items():
        files.append(File.generated(config, name, abs_src_path=str(links.ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to the code lead to its reference; those to what the site has not become plain text."""
    name = page.file.src_uri
    text, dead = links.rewritten(markdown, name, _SOURCES.get(name, f"docs/{name}"))
    for target in dead:
        _logger.warning("%s links to %s, which the repository has not", name, target)
    return tables.filled(text)
