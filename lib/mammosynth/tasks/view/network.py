"""`ViewNetwork`: what one view model has learned, kept together."""

from __future__ import annotations

from torch import nn

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.lesions import LesionModel
from mammosynth.tasks.view.look import LookModel
from mammosynth.tasks.view.regression import ViewRegression
from mammosynth.tasks.view.style import StyleModel
from mammosynth.terms import ViewPosition


class OneWay(nn.Module):
    """What is known of both looks, from one view to the other: no layers, all of it has a closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.regressions = nn.ModuleDict({look.value: ViewRegression() for look in Look})
        self.styles = nn.ModuleDict({look.value: StyleModel() for look in Look})
        self.lesions = nn.ModuleDict({look.value: LesionModel() for look in Look})
        self.looks = LookModel()

    def regression(self, look: Look) -> ViewRegression:
        """Of that look."""
        found = self.regressions[look.value]
        assert isinstance(found, ViewRegression)
        return found

    def style(self, look: Look) -> StyleModel:
        """Of that look."""
        found = self.styles[look.value]
        assert isinstance(found, StyleModel)
        return found

    def lesion(self, look: Look) -> LesionModel:
        """Of that look."""
        found = self.lesions[look.value]
        assert isinstance(found, LesionModel)
        return found


class ViewNetwork(nn.Module):
    """Both ways: to the oblique view, and back to the craniocaudal one."""

    def __init__(self) -> None:
        super().__init__()
        self.ways = nn.ModuleDict({view.value: OneWay() for view in ViewPosition})

    def way_to(self, view: ViewPosition) -> OneWay:
        """To that view."""
        found = self.ways[view.value]
        assert isinstance(found, OneWay)
        return found
