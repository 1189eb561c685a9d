"""The published conditional GAN: six terms of the generator, two discriminators, its features in the lesion."""

import numpy as np
import pytest
import torch

from mammosynth.errors import DataError
from mammosynth.label_map import LabelMap
from mammosynth.preprocessing.look import Look
from mammosynth.task import IMAGE, Rendering
from mammosynth.tasks.view.cgan_synthesizer import CganViewSynthesizer, NoParameters
from mammosynth.tasks.view.objectives.cgan import PATCHES, VIEW, CganObjective, CganRecipe, lesion_features
from mammosynth.tasks.view.radiomics_network import RadiomicGenerator
from mammosynth.tasks.view.roles import LESIONS, SOURCE
from mammosynth.tasks.view.specification import CLASSES
from tests.support.view_pairs import view_case

pytestmark = pytest.mark.slow
TERMS = {"adversarial", "view", "error", "perceptual", "ssim", "radiomics"}


@pytest.fixture(scope="module")
def objective() -> CganObjective:
    torch.manual_seed(0)
    cases = [view_case(number, lesion=number != 3) for number in range(4)]
    recipe = CganRecipe(batch_size=2, perceptual_weight=0.0)
    return CganObjective(cases, [view_case(9)], RadiomicGenerator([8, 16, 16], side=64), recipe)


def test_a_step_updates_generator_then_both_discriminators_with_all_terms(objective):
    updates = list(objective.losses(objective.draw(0, 0, 1)))
    assert [name for name, _, _ in updates] == ["generator", PATCHES, VIEW]
    _, loss, terms = updates[0]
    assert set(terms) == TERMS
    weighted = sum(getattr(objective.recipe, f"{name}_weight") * value for name, value in terms.items())
    assert float(loss.detach()) == pytest.approx(weighted, rel=1e-5)
    assert float(updates[2][1].detach()) == pytest.approx(2 * np.log(2), rel=0.2)  # it knows nothing yet


def test_discriminators_get_no_gradient_from_the_generators_loss(objective):
    objective.networks.zero_grad()
    losses = objective.losses(objective.draw(1, 0, 1))
    _, loss, _ = next(losses)
    loss.backward()
    assert all(p.grad is None for name in (PATCHES, VIEW) for p in objective.networks[name].parameters())
    assert any(p.grad is not None for p in objective.networks["generator"].parameters())
    assert len(list(losses)) == 2


def test_a_step_is_a_function_of_its_number(objective):
    first, again, other = objective.draw(5, 0, 1), objective.draw(5, 0, 1), objective.draw(6, 0, 1)
    torch.testing.assert_close(first.given, again.given)
    assert not torch.equal(first.given, other.given)


def test_scores_are_likeness_in_the_padded_frame(objective):
    with torch.inference_mode():
        scores = objective.validate(objective.networks["generator"].eval())
        grid = objective.sample_grid(objective.networks["generator"])
    assert 0 < scores["val_score"] < 1
    assert set(scores) == {"val_score", "val_psnr", "val_mae"}
    assert grid.shape == (64, 3 * 64)


def test_a_breast_without_a_lesion_has_no_features_and_a_set_without_any_is_refused():
    assert lesion_features(view_case(3, lesion=False)) is None
    assert lesion_features(view_case(3)).shape == (102,)
    with pytest.raises(DataError, match="no training breast has a lesion"):
        CganObjective(
            [view_case(1, lesion=False)], [], RadiomicGenerator([8, 8], side=64), CganRecipe(perceptual_weight=0.0)
        )


def test_the_view_depends_on_the_features_of_the_lesion(objective):
    network = objective.networks["generator"].eval()
    with torch.no_grad():
        for parameter in network.unet.to_image.parameters():
            parameter.normal_(std=0.3)  # starts at zero
        for block in network.unet.encoder:
            block.modulation.weight.normal_(std=0.3)
    synthesizer = CganViewSynthesizer(network)
    case = view_case(12, Look.FILM)
    lesions = LabelMap(case.views.cc_lesion.astype(np.uint8), "m", CLASSES)

    def made(inputs):
        return synthesizer(inputs, NoParameters(), rendering=Rendering.EXPECTED, seed=0)[0]

    without, with_lesion = made({SOURCE: case.views.cc}), made({SOURCE: case.views.cc, LESIONS: lesions})

    assert without.role == IMAGE
    assert without.value.pixels.shape == case.views.cc.pixels.shape
    assert np.abs(without.value.pixels - with_lesion.value.pixels).max() > 1e-3
