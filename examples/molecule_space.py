"""The molecules a policy can grow: drug scaffolds, fragments, and the chemistry that joins them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem, RDLogger

if TYPE_CHECKING:
    from numpy.typing import NDArray

RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]  # failed sanitization is expected here

# Each is the core of known drugs; [*:n] are the sites where it grows, in the order of n.
SCAFFOLDS = {
    "quinazoline": "[*:1]c1cc2ncnc(N[*:3])c2cc1[*:2]",
    "benzimidazole": "[*:1]c1nc2ccc([*:2])cc2n1[*:3]",
    "indole": "[*:1]c1cn([*:3])c2ccc([*:2])cc12",
    "fluoroquinolone": "O=C(O)c1cn([*:1])c2cc([*:2])c(F)cc2c1=O",
    "benzodiazepine": "O=C1CN=C(c2ccccc2)c2cc([*:1])ccc2N1[*:2]",
    "phenothiazine": "[*:1]c1ccc2Sc3ccccc3N([*:2])c2c1",
    "dihydropyridine": "[*:1]C1C(C(=O)OC)=C(C)NC(C)=C1C(=O)[*:2]",
    "piperazine": "[*:1]N1CCN([*:2])CC1",
    "pyrazole_sulfonamide": "NS(=O)(=O)c1ccc(cc1)-n1nc([*:1])cc1[*:2]",
    "pyrazolopyrimidine": "Nc1ncnc2c1c([*:1])nn2[*:2]",
    "xanthine": "[*:1]n1c(=O)c2[nH]c([*:2])nc2n(C)c1=O",
    "tetrahydroisoquinoline": "[*:1]c1ccc2CN([*:2])CCc2c1",
}

# Each joins at [*:1]; one with [*:2] is a linker, and the molecule grows on from there.
FRAGMENTS = {
    "hydrogen": "[H][*:1]",
    "methyl": "[*:1]C",
    "ethyl": "[*:1]CC",
    "isopropyl": "[*:1]C(C)C",
    "tert_butyl": "[*:1]C(C)(C)C",
    "cyclopropyl": "[*:1]C1CC1",
    "cyclohexyl": "[*:1]C1CCCCC1",
    "trifluoromethyl": "[*:1]C(F)(F)F",
    "fluoro": "[*:1]F",
    "chloro": "[*:1]Cl",
    "hydroxy": "[*:1]O",
    "methoxy": "[*:1]OC",
    "oxo": "[*:1]=O",
    "amino": "[*:1]N",
    "dimethylamino": "[*:1]N(C)C",
    "cyano": "[*:1]C#N",
    "nitro": "[*:1][N+](=O)[O-]",
    "acetyl": "[*:1]C(C)=O",
    "carboxamide": "[*:1]C(N)=O",
    "carboxylic_acid": "[*:1]C(=O)O",
    "mesyl": "[*:1]S(C)(=O)=O",
    "phenyl": "[*:1]c1ccccc1",
    "fluorophenyl": "[*:1]c1ccc(F)cc1",
    "pyridyl": "[*:1]c1cccnc1",
    "thienyl": "[*:1]c1cccs1",
    "morpholino": "[*:1]N1CCOCC1",
    "piperidino": "[*:1]N1CCCCC1",
    "methylpiperazino": "[*:1]N1CCN(C)CC1",
    "methylene": "[*:1]C[*:2]",
    "ethylene": "[*:1]CC[*:2]",
    "ether": "[*:1]O[*:2]",
    "amide": "[*:1]C(=O)N[*:2]",
    "phenylene": "[*:1]c1ccc([*:2])cc1",
}
SCAFFOLD_NAMES = tuple(SCAFFOLDS)
FRAGMENT_NAMES = tuple(FRAGMENTS)

_SCAFFOLDS = [Chem.MolFromSmiles(smiles) for smiles in SCAFFOLDS.values()]
_FRAGMENTS = [Chem.MolFromSmiles(smiles) for smiles in FRAGMENTS.values()]
_ROOT, _GROWTH = 1, 2


def _sites(molecule: Chem.Mol) -> dict[int, int]:
    """Map the number n of each [*:n] to the index of its dummy atom, by rising n."""
    dummies = (atom for atom in molecule.GetAtoms() if atom.GetAtomicNum() == 0)
    return dict(sorted((atom.GetAtomMapNum(), atom.GetIdx()) for atom in dummies))


_SITES = [_sites(molecule) for molecule in _SCAFFOLDS]
_ENDS = [_sites(molecule) for molecule in _FRAGMENTS]
_SIZES = [molecule.GetNumHeavyAtoms() for molecule in _FRAGMENTS]
IS_LINKER = np.array([_GROWTH in ends for ends in _ENDS])
MAX_SITES = max(len(sites) for sites in _SITES)
FEATURES = len(SCAFFOLDS) + MAX_SITES + len(FRAGMENTS) + 2


class Growth:
    """A molecule in the making: which site is open now, and what stands on the others.

    Args:
        scaffold: Index into ``SCAFFOLD_NAMES``.

    Example:
        >>> growth = Growth(SCAFFOLD_NAMES.index("piperazine"))
        >>> growth.choose(FRAGMENT_NAMES.index("methyl"))
        >>> growth.choose(FRAGMENT_NAMES.index("phenyl"))
        >>> growth.finished, assemble(growth.scaffold, tuple(growth.choices))
        (True, 'CN1CCN(c2ccccc2)CC1')
    """

    def __init__(self, scaffold: int) -> None:
        self.scaffold = scaffold
        self.choices: list[int] = []
        self._site = 0
        self._on_linker = False

    @property
    def finished(self) -> bool:
        """Whether every site has its substituent."""
        return self._site == len(_SITES[self.scaffold])

    def choose(self, fragment: int) -> None:
        """Put a fragment, an index into ``FRAGMENT_NAMES``, on the open site."""
        self.choices.append(fragment)
        self._on_linker = bool(IS_LINKER[fragment])
        self._site += not self._on_linker

    def allowed(self) -> NDArray[np.bool_]:
        """Return which fragments may follow, shape (fragments,): no linker upon a linker."""
        return ~IS_LINKER if self._on_linker else np.ones(len(FRAGMENTS), dtype=np.bool_)

    def features(self) -> NDArray[np.float64]:
        """Return what the policy sees of the state, shape (FEATURES,)."""
        seen = np.zeros(FEATURES)
        seen[self.scaffold] = 1.0
        seen[len(SCAFFOLDS) + self._site] = 1.0
        for fragment in self.choices:
            seen[len(SCAFFOLDS) + MAX_SITES + fragment] += 1.0
        seen[-2] = self._on_linker
        seen[-1] = sum(_SIZES[fragment] for fragment in self.choices) / 20.0
        return seen


@lru_cache(maxsize=200_000)
def assemble(scaffold: int, choices: tuple[int, ...]) -> str | None:
    """Join fragments to a scaffold and let RDKit judge the molecule.

    Args:
        scaffold: Index into ``SCAFFOLD_NAMES``.
        choices: Indices into ``FRAGMENT_NAMES`` in the order of the sites; what follows a linker
            stands on the linker.

    Returns:
        The canonical SMILES, or None when valences fail or an unstable bond would arise.

    Example:
        >>> assemble(SCAFFOLD_NAMES.index("piperazine"), (FRAGMENT_NAMES.index("hydroxy"), 0))
    """
    molecule = Chem.RWMol(_SCAFFOLDS[scaffold])
    open_sites = list(_SITES[scaffold].values())
    used: list[int] = []
    for choice in choices:
        offset = molecule.GetNumAtoms()
        ends = {number: offset + index for number, index in _ENDS[choice].items()}
        molecule.InsertMol(_FRAGMENTS[choice])
        site, root = open_sites.pop(0), ends[_ROOT]
        if not _join(molecule, site, root):
            return None
        used += [site, root]
        if _GROWTH in ends:
            open_sites.insert(0, ends[_GROWTH])
    for dummy in sorted(used, reverse=True):
        molecule.RemoveAtom(dummy)
    try:
        Chem.SanitizeMol(molecule)
    except Chem.MolSanitizeException:
        return None
    return str(Chem.MolToSmiles(Chem.RemoveHs(molecule)))


def _join(molecule: Chem.RWMol, site: int, root: int) -> bool:
    """Bond the neighbours of two dummies, unless the bond would be an unstable one."""
    base, arm = (molecule.GetAtomWithIdx(dummy).GetNeighbors()[0] for dummy in (site, root))
    elements = {base.GetAtomicNum(), arm.GetAtomicNum()}
    # Between two heteroatoms only the sulfonamide's N-S lasts; hydrogen goes with everything.
    if not elements & {1, 6} and elements != {7, 16}:
        return False
    order = molecule.GetBondBetweenAtoms(root, arm.GetIdx()).GetBondType()
    molecule.AddBond(base.GetIdx(), arm.GetIdx(), order)
    return True
