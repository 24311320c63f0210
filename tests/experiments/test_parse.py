"""Parsing of experiment files, and the message of every error."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.config import settings_of
from embedrec.errors import ArtifactError, SettingsError
from embedrec.experiments.parse import read_experiment
from embedrec.experiments.report_step import ReportStep
from embedrec.experiments.train_step import Train
from tests.experiments.conftest import SMALL, Opened

BIG = 10**23
OUTSIDE = "file in [[export]] must be a path inside the workspace, such as out/similar.txt, but is "
ROWS = SMALL[SMALL.rindex("rows = ") :]
MORE = '[[export]]\nmodel = "cooccurrence"\nfile = "{}"\n\n[compare]\n'


def test_steps_have_their_dependencies(open_experiment: Opened) -> None:
    experiment, _ = open_experiment()
    assert experiment.title == "A small experiment"
    assert [(step.id, step.after) for step in experiment.steps] == [
        ("prepare", ()),
        ("split", ("prepare",)),
        ("train popular", ("split",)),
        ("train vectors", ("split",)),
        ("train two-tower", ("split",)),
        ("train cooccurrence", ("split",)),
        ("index vectors-flat", ("train vectors",)),
        ("evaluate vectors", ("train vectors",)),
        ("compare", ("train popular", "train vectors", "train two-tower")),
        ("export similar.txt", ("train cooccurrence",)),
        ("tables", ("split", "compare")),
    ]


def test_a_report_has_the_seed_of_the_experiment(open_experiment: Opened) -> None:
    for more, seed in (("", 7), ("seed = 3\n", 3)):
        experiment, _ = open_experiment(f'seed = 7\n{SMALL}[report]\nmap = "pca"\n{more}')
        report = experiment.steps[-1]
        assert isinstance(report, ReportStep) and (report.table.map, report.table.seed) == ("pca", seed)


def test_without_a_split_models_train_on_the_prepared_sessions(open_experiment: Opened) -> None:
    experiment, _ = open_experiment(SMALL.replace('[split]\nrule = "random"\nshare = 0.2\n', ""))
    assert [step.id for step in experiment.steps[:2]] == ["prepare", "train popular"]
    assert experiment.steps[1].after == ("prepare",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[split]", "[splitt]", "unknown table or key 'splitt' in {file}; did you mean 'split'?"),
        ("[split]", "[[split]]", "'split' in {file} must be one table, [split]"),
        ('[[train]]\nmodel = "popular"', "[other]", "unknown table or key 'other' in {file}; valid are title, name"),
        ('source = "mpd"', 'source = "mdp"', "no reader is called 'mdp'; did you mean 'mpd'?"),
        ('source = "mpd"', "", "the setting 'source' is missing in [prepare]"),
        ('source = "mpd"', 'source = "mpd"\nlevl = "x"', "unknown setting 'levl' in [prepare]; did you mean 'level'"),
        ('source = "mpd"', 'source = "mpd"\nmin_cuont = 3', "unknown setting 'min_cuont' in [prepare]; did you mean"),
        ('source = "mpd"', 'source = "mpd"\ntitle = "x"', "title in [prepare] is for the source table, but the "),
        ('source = "mpd"', 'source = "mpd"\ntest = "x"', "source mpd cannot read a held-out file; remove test, and"),
        ("share = 0.2", "share = 0.2\nday = 3", "unknown setting 'day' in [split]; valid are name, rule, seed, share"),
        ('rule = "random"', 'rule = "randm"', "no split rule is called 'randm'; did you mean 'random'?"),
        ("draws = 20", "drawss = 20", "unknown setting 'drawss' in [ask]; did you mean 'draws'"),
        ("at = [5, 10]", "at = 5", "setting 'at' in [ask] must be a list, but is 5"),
        ("dim = 8, epochs = 2", "dmi = 8", "unknown setting 'dmi' in [[train]] vectors; did you mean 'dim'"),
        ("window = [2, 5]", "widnow = [2]", "unknown setting 'widnow' in [[train]] vectors; did you mean 'window'"),
        ("window = [2, 5]", "window = [2, -5]", "window must be between 0 and 1.07374e+09, but is -5"),
        ("window = [2, 5]", "window = []", "'window' in the grid of [[train]] vectors has no values; add some"),
        ("window = [2, 5]", "window = 5", "setting 'grid' in [[train]] must be a list, but is 5"),
        ("window = [2, 5]", "dim = [2, 5]", "'dim' is both in set and in grid of [[train]] vectors"),
        ('name = "vectors"', 'name = "popular"', "[[train]] has 'popular' twice; rename one of them"),
        (
            '"vectors"\ntype',
            '"vector"\ntype',
            "[[index]] names 'vector', which this experiment does not write",
        ),
        (
            'models = ["popular", ',
            'models = ["sr", ',
            "[compare] names 'sr', which this experiment does not write; v",
        ),
        ('"vectors", "two-tower"]', '"popular"]', "[compare] needs models, each once"),
        ('model = "cooccurrence"\nn = 5', "n = 5", "[[export]] similar.txt takes either a model or an index; set"),
        ('"word2vec", model', '"word2vec", modell', "unknown setting 'modell' in 'rows' of [[table]]; did you mean"),
        ('comes next"', 'comes next"\nof = "vector"', "table 'What comes next' needs metrics, but no [[evaluate]] is "),
        ('["recall@10", "mrr@10"]', '["recal@10"]', "table 'What comes next': unknown metric 'recal@10'; valid"),
        ('columns = ["recall@10", "mrr@10"]', 'columns = ["recall@20"]', "table 'What comes next': unknown metric"),
        ('model = "vectors"},', 'model = "cooccurrence"},', "table 'What comes next' shows 'cooccurrence', which is "),
        ('"mrr@10"\n', '"mrr@20"\n', "[[train]] vectors: unknown metric 'mrr@20'; valid are hit_rate@5, "),
        ("[compare]\n", '[compare]\nmetrics = ["mrr"]\n', "[compare]: unknown metric 'mrr'; valid are hit_rate@5"),
        ("[compare]\n", "[compare]\nat = [0]\n", "list lengths must be at least 1, but are (0,)"),
        ('"flat"', '"flatt"', "no index type is called 'flatt'; did you mean 'flat'?"),
        ('"flat"', '"flat"\nnprobe = 0', "nprobe must be at least 1, but is 0"),
        (
            '"flat"',
            '"flat"\nmemory = "2X"',
            "a memory size is a number with K, M, G or T, such as 512M or 2G, but is",
        ),
        ('"flat"', '"flat"\ntarget_recall = "9@2"', "recall must be between 0 and 1, but is 9"),
        ('"flat"', '"flat"\nset = {idff = 1}', "unknown setting 'idff' in [[index]] vectors-flat; did you mean 'idf'"),
        ("n = 5", "n = 5\nmmr = 2.0", "mmr must be between 0 and 1, but is 2"),
        ("n = 5", 'n = 5\nformat = "tvs"', "unknown format 'tvs'; did you mean 'tsv'?"),
        ("n = 5", "n = 5\ncandidates = 9", "candidates need a policy that selects from them; add a policy"),
        (
            'similar.txt"\n',
            'similar.vec"\nmutual = true\n',
            "[[export]] similar.vec contains vectors, to which policies do not apply; remove",
        ),
        (
            'small experiment"',
            'small experiment"\nseed = -1',
            "seed in {file} must be a whole number from 0 to 9223372036854775807, but is -1",
        ),
        (
            'small experiment"',
            f'small experiment"\nseed = {BIG}',
            f"seed in {{file}} must be a whole number from 0 to 9223372036854775807, but is {BIG}",
        ),
        (
            "share = 0.2",
            f"share = 0.2\nseed = {BIG}",
            f"seed must be a whole number from 0 to 9223372036854775807, but is {BIG}",
        ),
        ("share = 0.2", "share = 0.2\nseed = -1\n", "seed must be a whole number from 0 to 92"),
        ('model = "popular"\n', 'model = "popular"\n\nseed = -1\n', "seed must be a whole number from 0 to 92"),
        ('type = "flat"', 'type = "flat"\nseed = -1\n', "seed must be a whole number from 0 to 92"),
        ("draws = 20", "draws = 20\nseed = -1\n", "seed must be a whole number from 0 to 92"),
        ('protocol = "similar"', 'protocol = "similar"\nseed = -1\n', "seed must be a whole number from 0 to 92"),
        (
            'models = ["popular", "vectors", "two-tower"]',
            'models = ["popular", "vectors", "two-tower"]\nseed = -1\n',
            "seed must be a whole number from 0 to 92",
        ),
        ("draws = 20", "draws = -5", "draws must be at least 0, but is -5"),
        ("[compare]\n", "[compare]\ndraws = -5\n", "draws must be at least 0, but is -5"),
        ("draws = 20", "given = 0", "given must be at least 1, but is 0"),
        ("at = [5, 10]", "at = [0]", "list lengths must be at least 1, but are (0,)"),
        ('note = "N', 'digits = -1\nnote = "N', "digits must be between 0 and 17, but is -1"),
        ('similar.txt"', '"', OUTSIDE + "''"),
        ('similar.txt"', '."', OUTSIDE + "'.'"),
        ('similar.txt"', '../esc.txt"', OUTSIDE + "'../esc.txt'"),
        ('similar.txt"', '/esc.txt"', OUTSIDE + "'/esc.txt'"),
        ('similar.txt"', 'a/../../esc.txt"', OUTSIDE + "'a/../../esc.txt'"),
        ('similar.txt"', 'a\\u0000b"', OUTSIDE + "'a\\x00b'"),
        (
            'similar.txt"',
            'models/cooccurrence/model.json"',
            "file in [[export]] is 'models/cooccurrence/model.json', but models/ is reserved for",
        ),
        ('similar.txt"', './sessions/x"', "file in [[export]] is './sessions/x', but sessions/ is reserved for"),
        ('similar.txt"', 'studies/small"', "file in [[export]] is 'studies/small', but studies/ is reserved for"),
        ('similar.txt"', 'indexes"', "file in [[export]] is 'indexes', but indexes/ is reserved for"),
        ('similar.txt"', 'checkpoints/x"', "file in [[export]] is 'checkpoints/x', but checkpoints/ is reserved for"),
        ('similar.txt"', 'grids/x.txt"', "file in [[export]] is 'grids/x.txt', but grids/ is reserved for"),
        ('similar.txt"', 'tuning/x.toml"', "file in [[export]] is 'tuning/x.toml', but tuning/ is reserved for"),
        (
            "[compare]\n",
            '[report]\nfile = "../page.html"\n[compare]\n',
            "file in [report] must be a path inside the workspace, such as",
        ),
        (
            "[compare]\n",
            '[report]\nfile = "./similar.txt"\n[compare]\n',
            "two outputs of the experiment are the file similar.txt; rename one",
        ),
        (
            "[compare]\n",
            MORE.format("./similar.txt"),
            "two outputs of the experiment are the file similar.txt; rename one",
        ),
        (
            "[compare]\n",
            MORE.format("similar.txt/part.txt"),
            "an output cannot be inside another: 'similar.txt/part.txt' and 'similar.txt'; rename one of",
        ),
        (ROWS, 'of = "cmp"', "table 'Data' needs metrics, but no [[evaluate]] is called 'cmp'"),
        (ROWS, 'of = "vectors"', "table 'Data' has no rows, which only the table of a grid may omit; add"),
        (
            '"vectors"\ntype',
            '"cooccurrence"\ntype',
            "[[index]] cooccurrence-flat needs vectors, but model cooccurrence (cooccurrence) has none; choose",
        ),
        (
            'model = "cooccurrence"\nn = 5',
            'model = "popular"\nn = 5',
            "[[export]] similar.txt needs similar items, but model popular (popular) has none; train",
        ),
        (
            'similar.txt"',
            'similar.vec"',
            "[[export]] similar.vec needs vectors, but model cooccurrence (cooccurrence) has none; choose",
        ),
        ("n = 5", "n = 5\nnprobe = 3", "nprobe is a setting of IVF indexes, but cooccurrence is a model; leave it out"),
        (
            'type = "flat"',
            'type = "flat"\nname = "s"\nof = "sessions"\n[[export]]\nfile = "s.txt"\nindex = "s"',
            "[[export]] s.txt needs an index of items, but s is one of sessions; choose another",
        ),
        (
            'protocol = "similar"',
            "grid = true",
            "[[evaluate]] vectors: a grid needs a session-kNN model; vectors is not one; choose from",
        ),
        (
            'model = "vectors"\nprotocol',
            'grid = true\nmodel = "vectors"\nprotocol',
            "[[evaluate]] vectors: a grid evaluates next items, not similar ones; choose another",
        ),
        (
            "[compare]\n",
            '[compare]\nthrough = "flat"\n',
            "through in [compare] needs vectors, but model popular (popular) has none; choose another",
        ),
        (
            'model = "vectors"\nprotocol',
            'through = "flat"\nmodel = "cooccurrence"\nprotocol',
            "through in [[evaluate]] cooccurrence needs vectors, but",
        ),
        ("n = 5", "n = 5\npopularity = 0.5", "popularity in [[export]] similar.txt needs vectors, but model cooccur"),
        (
            'model = "cooccurrence"\nn = 5',
            'index = "vectors-flat"\npopularity = 0.5',
            "[[export]] similar.txt: popularity cannot change an existing index; set it in its [[index]]",
        ),
        (
            "epochs = 2}",
            'epochs = 2}\nmemory = "1G"',
            "[[train]] vectors: word2vec has no memory budget; remove memory",
        ),
        ('small experiment"', 'small experiment"\nname = "../x"', "'../x' cannot name an experiment; use letters"),
    ],
)
def test_invalid_experiments_are_refused(
    open_experiment: Opened, tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in SMALL
    with pytest.raises((SettingsError, ArtifactError)) as error:
        open_experiment(SMALL.replace(old, new, 1))
    assert str(error.value).startswith(message.format(file=tmp_path / "small.toml"))


def test_a_table_of_a_grid_refuses_rows_of_models(open_experiment: Opened) -> None:
    grid = '[[train]]\nmodel = "sknn"\n[[evaluate]]\nmodel = "sknn"\nname = "grid"\ngrid = true\n\n[compare]'
    with pytest.raises(SettingsError, match="table 'What comes next' shows a grid, whose rows are"):
        open_experiment(SMALL.replace("[compare]", grid).replace('comes next"', 'comes next"\nof = "grid"'))


def test_a_grid_needs_numbers_of_neighbours(open_experiment: Opened) -> None:
    grid = '[[train]]\nmodel = "sknn"\n[[evaluate]]\nmodel = "sknn"\ngrid = true\nneighbours = [0]\n\n[compare]'
    with pytest.raises(SettingsError, match=r"numbers of neighbours must be at least 1, but are \(0,\)"):
        open_experiment(SMALL.replace("[compare]", grid))


def test_the_highest_seed_is_valid(open_experiment: Opened) -> None:
    experiment, _ = open_experiment(f"seed = {2**63 - 1}\n{SMALL}")
    assert all(step.seed == 2**63 - 1 for step in experiment.steps if isinstance(step, Train))


def test_an_integer_is_accepted_for_a_setting_of_text(open_experiment: Opened) -> None:
    text = SMALL.replace('model = "two-tower"\nset = {dim = 8, epochs = 3}', 'model = "gru4rec"\nset = {layers = 16}')
    experiment, _ = open_experiment(text.replace(', "two-tower"]', "]"))
    (step,) = [step for step in experiment.steps if step.id == "train gru4rec"]
    assert isinstance(step, Train) and settings_of(step.recipes[0])["layers"] == "16"


def test_a_data_folder_must_be_passed(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    with pytest.raises(SettingsError, match=r"needs a data folder \(\{data\}/train\); pass it with --data"):
        read_experiment(tmp_path / "small.toml")


def test_data_must_be_prepared(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text('[split]\nrule = "random"\n')
    with pytest.raises(SettingsError, match=r"has no table \[prepare\]"):
        read_experiment(tmp_path / "small.toml")
