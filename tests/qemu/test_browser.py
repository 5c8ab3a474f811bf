# SPDX-License-Identifier: BSD-2-Clause
"""The dashboard in a browser: what it shows, its buttons, keyboard, phone, dark. Keeps docs/dashboard.png's
source, build/dashboard.png."""
import pytest
import webdriver
from test_demo import page  # noqa: F401  (a fixture)


@pytest.fixture(scope="module", autouse=True)
def chromium():
    why = webdriver.missing()
    if why:
        pytest.skip(why)


RESTARTS = "Number(document.querySelector('[aria-label=\"kill %s\"]').closest('tr').cells[3].textContent)"


def test_dashboard(page, root):  # noqa: F811
    page = page("sleep 10000", "--append", "demo")
    page.wait()
    with webdriver.Browser(1000, 1150) as browser:
        browser.open(page.base)
        browser.wait("document.querySelectorAll('#services tr').length > 8")
        # a mouse's click: load, and a driver killed
        browser.wait("!document.getElementById('load').hidden")
        browser.script("document.getElementById('load').click()")
        browser.wait("Number(document.getElementById('network-now').textContent) > 0.1")
        browser.wait("document.getElementById('disk').getAttribute('points').split(' ').length > 12")
        for service in ("virtio_net", "virtio_blk", "net"):
            browser.script("document.querySelector(`[aria-label=\"kill ${arguments[0]}\"]`).click()", service)
            browser.wait(f"{RESTARTS % service} === 1")
        browser.wait("document.querySelectorAll('#marks line').length >= 3")
        # the keyboard: Tab reaches the button, Enter presses it
        browser.script("document.querySelector('[aria-label=\"hang tty\"]').focus()")
        browser.keys("\ue004")
        assert browser.script("return document.activeElement.getAttribute('aria-label')") == "crash tty"
        browser.keys("\ue007")
        browser.wait("document.querySelector('[aria-label=\"kill tty\"]').closest('tr').cells[3].textContent === '1'")
        browser.wait("document.querySelectorAll('#disk')[0].getAttribute('points').split(' ').length > 30")
        browser.screenshot(root / "build/dashboard.png")
        light = browser.script("return getComputedStyle(document.body).color")
        # a phone: nothing is wider than the screen, buttons are big enough for fingers
        browser.emulate_width(360, 740)
        browser.wait("matchMedia('(max-width: 40rem)').matches")
        assert browser.script("return document.documentElement.scrollWidth") <= 360
        assert browser.script("return document.querySelector('#services button').getBoundingClientRect().height") >= 28
        browser.screenshot(root / "build/dashboard-phone.png")
    with webdriver.Browser(1000, 1150, dark=True) as browser:
        browser.open(page.base)
        browser.wait("document.querySelectorAll('#services tr').length > 8")
        assert browser.script("return matchMedia('(prefers-color-scheme: dark)').matches")
        assert browser.script("return getComputedStyle(document.body).color") != light
        browser.screenshot(root / "build/dashboard-dark.png")


def test_no_buttons_outside_the_demo(page):  # noqa: F811
    page = page("httpd -p 80 -h /www; sleep 10000")
    page.wait()
    with webdriver.Browser(800, 600) as browser:
        browser.open(page.base)
        browser.wait("document.querySelectorAll('#services tr').length > 8")
        assert browser.script("return document.querySelectorAll('#services button').length") == 0
        assert browser.script("return document.getElementById('load').hidden")
