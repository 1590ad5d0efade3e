"""What a molecule is worth: four objectives, and the properties that describe it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem, RDConfig
from rdkit.Chem import QED, rdMolDescriptors
from rdkit.Chem.Scaffolds import MurckoScaffold

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# RDKit ships the SA score as a contribution outside of its package.
sys.path.append(str(Path(RDConfig.RDContribDir) / "SA_Score"))
import sascorer  # type: ignore[import-not-found]

LOGP_TARGET = 2.5


@dataclass(frozen=True)
class Objective:
    """One goal of the training.

    Args:
        name: What metrics and the database call it.
        alias: What it measures, for people.
        direction: ``maximize`` or ``minimize``, for the raw value.
        measure: A molecule to its raw value.
        normalize: A raw value to 0 (poor) ... 1 (good), to be made larger whatever the direction.
    """

    name: str
    alias: str
    direction: str
    measure: Callable[[Chem.Mol], float]
    normalize: Callable[[float], float]

    @property
    def label(self) -> str:
        """The name with the direction, as metric keys carry it."""
        return f"{self.name}_{self.direction}"


def _falling(best: float, worst: float) -> Callable[[float], float]:
    return lambda raw: min(1.0, max(0.0, (worst - raw) / (worst - best)))


OBJECTIVES = (
    Objective("QED", "Quantitative estimate of drug-likeness", "maximize", QED.qed, float),
    # logP itself is neither good high nor low: what is minimized is its distance from 2.5.
    Objective(
        "logP",
        f"Distance of Crippen logP from {LOGP_TARGET}",
        "minimize",
        lambda molecule: abs(rdMolDescriptors.CalcCrippenDescriptors(molecule)[0] - LOGP_TARGET),
        _falling(0.0, 3.0),
    ),
    # 140 square angstroms: above it oral drugs hardly pass membranes (Veber et al. 2002).
    Objective(
        "TPSA",
        "Topological polar surface area",
        "minimize",
        rdMolDescriptors.CalcTPSA,
        _falling(0.0, 140.0),
    ),
    # The SA score runs from 1 to 10, drugs from 1 to 5 (Ertl and Schuffenhauer 2009).
    Objective(
        "SA",
        "Synthetic accessibility score",
        "minimize",
        sascorer.calculateScore,
        _falling(1.0, 5.0),
    ),
)
PROPERTIES: dict[str, Callable[[Chem.Mol], float]] = {
    "molecular_weight": rdMolDescriptors.CalcExactMolWt,
    "heavy_atoms": Chem.Mol.GetNumHeavyAtoms,
    "heteroatoms": rdMolDescriptors.CalcNumHeteroatoms,
    "ring_count": rdMolDescriptors.CalcNumRings,
    "aromatic_rings": rdMolDescriptors.CalcNumAromaticRings,
    "hbd": rdMolDescriptors.CalcNumHBD,
    "hba": rdMolDescriptors.CalcNumHBA,
    "rotatable_bonds": rdMolDescriptors.CalcNumRotatableBonds,
    "fraction_csp3": rdMolDescriptors.CalcFractionCSP3,
    "amide_bonds": rdMolDescriptors.CalcNumAmideBonds,
}


@dataclass(frozen=True)
class Assessment:
    """What is known of one molecule.

    Args:
        raw: Shape (objectives,), in the units of each objective.
        normalized: Shape (objectives,), 0 ... 1, larger is better.
        properties: Shape (properties,), in the order of ``PROPERTIES``.
        murcko: Its Murcko scaffold as SMILES, empty for a molecule without rings.
    """

    raw: NDArray[np.float64]
    normalized: NDArray[np.float64]
    properties: NDArray[np.float64]
    murcko: str


@lru_cache(maxsize=200_000)
def assess(smiles: str) -> Assessment:
    """Measure a molecule; one that was measured before costs nothing.

    Args:
        smiles: A canonical SMILES of a valid molecule.

    Returns:
        Its objectives, raw and normalized, its properties and its Murcko scaffold.

    Example:
        >>> assess("CC(=O)Oc1ccccc1C(=O)O").raw.round(2).tolist()  # QED, |logP - 2.5|, TPSA, SA
        [0.55, 1.19, 63.6, 1.58]
    """
    molecule = Chem.MolFromSmiles(smiles)
    raw = [float(objective.measure(molecule)) for objective in OBJECTIVES]
    normalized = [
        objective.normalize(value) for objective, value in zip(OBJECTIVES, raw, strict=True)
    ]
    return Assessment(
        raw=np.array(raw),
        normalized=np.array(normalized),
        properties=np.array([float(measure(molecule)) for measure in PROPERTIES.values()]),
        murcko=MurckoScaffold.MurckoScaffoldSmiles(mol=molecule),  # type: ignore[no-untyped-call]
    )
