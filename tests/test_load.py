import pytest

from streamdyn import Pipeline, PolicyError, load_policy
from streamdyn.load import Spec, load_object, names_own_code
from streamdyn.policies import Change, Interval
from streamdyn.testing import StillModel, frames


def test_a_name_with_and_without_arguments():
    assert type(load_policy("Change")) is Change
    policy = load_policy("Change(threshold=2.5, grow=1)")
    assert (policy.threshold, policy.grow) == (2.5, 1)
    assert type(load_policy("streamdyn.policies:Interval")) is Interval


def test_combinations():
    def densities(spec):
        return [p.density for p in Pipeline(StillModel(), load_policy(spec)).run(frames(7))]

    assert densities("First | Interval(every=3)") == [1, 0, 0, 1, 0, 0, 1]
    assert densities("All & Interval(every=2) & Interval(every=3)") == [1, 0, 0, 0, 0, 0, 1]
    with pytest.raises(PolicyError, match="did you mean Change"):
        load_policy("All | Chnage")


CENTRE = """
from streamdyn import BlockMask, Frame, Policy, StreamState

class Centre(Policy):
    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return state.grid.none()
"""


def test_a_users_file_and_module(tmp_path, monkeypatch):
    (tmp_path / "centre_policy.py").write_text(CENTRE)
    monkeypatch.chdir(tmp_path)
    by_path = load_policy("./centre_policy.py:Centre")
    by_absolute_path = load_policy(f"{tmp_path}/centre_policy.py:Centre")
    by_module = load_policy("centre_policy:Centre")
    assert type(by_path) is type(by_absolute_path)
    assert type(by_module).__name__ == "Centre"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("Chnage", "did you mean Change"),
        ("Zebra", "it has Accumulate, "),
        ("", "is not NAME"),
        ("Change(", "cannot read the arguments"),
        ("Change(5)", "key=value"),
        ("Change(**{})", "key=value"),
        ("Change(threshold=open)", "may only be numbers"),
        ("Change(threshold=3)(grow=1)", "key=value"),
        ("Change(threshold={[]: 1})", "may only be numbers"),
        ("Change(treshold=5)", "'treshold'; Change takes (threshold"),
        ("Change(threshold=-1)", "must not be negative"),
        ("Change(threshold='a')", "not supported"),
        ("nowhere.at.all:Change", "no module 'nowhere.at.all'"),
        ("./nowhere.py:Change", "no file nowhere.py"),
        ("streamdyn.blocks:BlockGrid", "not a subclass"),
        ("streamdyn.policies:load", "it has Accumulate, "),
    ],
)
def test_what_cannot_be_built_is_explained(spec, message):
    with pytest.raises(PolicyError) as caught:
        load_policy(spec)
    assert message in str(caught.value)
    assert repr(spec) in str(caught.value)


def test_a_file_that_fails_to_import_says_why(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_like_this")
    for _ in range(2):  # not half-imported the second time
        with pytest.raises(LookupError, match="nothing_like_this"):
            load_object(str(broken), "Policy")


USERS = """
from streamdyn.policies import First

class Any(First):
    def __init__(self, **settings):
        self.settings = settings

class Fails(First):
    def __init__(self):
        {}["nothing"]
"""


def test_a_users_constructor(tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    assert load_policy(f"{tmp_path}/users.py:Any(a=1)").settings == {"a": 1}
    with pytest.raises(PolicyError, match="fails: KeyError: 'nothing'"):
        load_policy(f"{tmp_path}/users.py:Fails")


def test_a_module_with_a_wrong_line_says_so(tmp_path, monkeypatch):
    (tmp_path / "wrong_line.py").write_text("def")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyError, match="cannot be imported: SyntaxError"):
        load_policy("wrong_line:Mine")


def test_a_module_that_lacks_a_dependency_names_it(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import nothing_like_this")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LookupError, match="'needs_more' needs 'nothing_like_this'"):
        load_object("needs_more", "Policy")


def test_spec():
    assert Spec.parse("a.b:C(x=1, y='z')") == Spec("a.b", "C", {"x": 1, "y": "z"})


@pytest.mark.parametrize(
    ("spec", "own"),
    [
        ("Change(threshold=6)", False),
        ("Change | Interval(every=3)", False),
        ("./mine.py:Mine", True),
        ("Change & package.module:Mine(a=1)", True),
        ('Change(name="a:b")', False),
        ("((", False),
    ],
)
def test_code_of_the_user_is_told_by_its_name(spec, own):
    assert names_own_code(spec) == own
