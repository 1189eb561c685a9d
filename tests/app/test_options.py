import pytest

from monailabel_app.errors import OptionsError
from monailabel_app.options import AppOptions, ServeOptions, parse_studies


def test_a_network_address_without_a_token_is_refused(tmp_path):
    with pytest.raises(OptionsError, match="add --token-file"):
        ServeOptions(None, tmp_path, host="0.0.0.0")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_token(tmp_path, host):
    assert ServeOptions(None, tmp_path, host=host).token_file is None


def test_a_missing_studies_folder_is_named(tmp_path):
    with pytest.raises(OptionsError, match="nowhere is not a folder"):
        ServeOptions(parse_studies(str(tmp_path / "nowhere")), tmp_path)


def test_studies_are_a_url_without_trailing_slash_or_an_absolute_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_studies("http://127.0.0.1:8042/dicom-web/") == "http://127.0.0.1:8042/dicom-web"
    assert parse_studies("exams") == tmp_path / "exams"
    assert parse_studies(None) is None


def test_an_unknown_conf_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(OptionsError, match="expected one of device, model_zoo"):
        AppOptions.from_conf({"models": "all"}, str(tmp_path))


def test_conf_names_model_zoos_that_exist(tmp_path):
    assert AppOptions.from_conf({"model_zoo": str(tmp_path)}, "app").model_zoo == (tmp_path,)
    with pytest.raises(OptionsError, match="is not a folder"):
        AppOptions.from_conf({"model_zoo": str(tmp_path / "none")}, "app")


@pytest.mark.parametrize("proxies", ["*", "0.0.0.0/0", "127.0.0.1,proxy.example"])
def test_a_proxy_that_is_trusted_is_named_by_its_address(tmp_path, proxies):
    with pytest.raises(OptionsError, match="FORWARDED_ALLOW_IPS holds .* expected addresses or networks"):
        ServeOptions(None, tmp_path, trusted_proxies=proxies)
    assert ServeOptions(None, tmp_path, trusted_proxies="127.0.0.1, 10.0.0.0/24").trusted_proxies
