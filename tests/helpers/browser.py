"""A page in a headless Chromium (QtWebEngine), where that is installed: clicks, keys, widths."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_FLAGS = "--no-sandbox --disable-gpu --blink-settings=preferredColorScheme=1"
_PATIENCE = 30_000  # milliseconds, after which a page that does not answer has failed


class Browser:
    """One window; it records what the page complains of, and every address it asks for."""

    def __init__(self) -> None:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.setdefault("QTWEBENGINE_DISABLE_SANDBOX", "1")
        os.environ.setdefault("QTWEBENGINE_CHROMIUM_FLAGS", _FLAGS)
        widgets = pytest.importorskip(
            "PyQt6.QtWebEngineWidgets", reason="pip install PyQt6-WebEngine clicks on the page"
        )
        from PyQt6.QtCore import QEventLoop, QTimer, QUrl
        from PyQt6.QtWebEngineCore import QWebEnginePage, QWebEngineUrlRequestInterceptor
        from PyQt6.QtWidgets import QApplication

        self.complaints: list[str] = []
        self.addresses: list[str] = []
        browser = self

        class Page(QWebEnginePage):
            def javaScriptConsoleMessage(self, *said: Any) -> None:  # noqa: N802
                browser.complaints.append(str(said[1]))

        class Recorder(QWebEngineUrlRequestInterceptor):
            def interceptRequest(self, info: Any) -> None:  # noqa: N802
                browser.addresses.append(info.requestUrl().toString())

        self._loop, self._timer, self._url = QEventLoop, QTimer, QUrl
        self._app = QApplication.instance() or QApplication(["tests", "--no-sandbox"])
        self._view = widgets.QWebEngineView()
        self._page = Page(self._view)
        self._recorder = Recorder()
        self._page.setUrlRequestInterceptor(self._recorder)
        self._view.setPage(self._page)

    def open(self, path: Path, width: int = 1200, height: int = 900) -> None:
        self.complaints.clear()
        self.addresses.clear()
        self._view.resize(width, height)
        self._view.show()

        def load(done: Callable[[Any], None]) -> None:
            def loaded(ok: bool) -> None:
                self._page.loadFinished.disconnect(loaded)
                done(ok)

            self._page.loadFinished.connect(loaded)
            self._view.load(self._url.fromLocalFile(str(path)))

        assert self._wait(load)
        self.settle()

    def run(self, script: str) -> Any:
        """The value of an expression, behind everything that it set off."""
        value = self._wait(lambda done: self._page.runJavaScript(script, done))
        self.settle()
        return value

    def settle(self) -> None:
        """Until what was queued for the next frames is drawn."""
        self._wait(
            lambda done: self._page.runJavaScript(
                "(() => { window.__settled = 0;"
                " const later = () => requestAnimationFrame(() => {"
                " window.__settled++; if (window.__settled < 3) later(); });"
                " later(); return 1; })()",
                done,
            )
        )
        while self._wait(lambda done: self._page.runJavaScript("window.__settled", done)) < 3:
            pass

    def _wait(self, begin: Callable[[Callable[[Any], None]], None]) -> Any:
        loop, found = self._loop(), []

        def done(value: Any) -> None:
            found.append(value)
            loop.quit()

        begin(done)
        if not found:
            self._timer.singleShot(_PATIENCE, loop.quit)
            loop.exec()
        assert found, "the page does not answer"
        return found[0]
