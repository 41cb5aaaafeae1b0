// The energy of a centre depends on its own neighbours only: one cutoff of ghost atoms suffices.
//
// Centres are taken in blocks. Threads evaluate those of a block; then their derivatives are added
// to forces and virials, one after another in the order of the list, so that results are the same
// to the last bit with any number of threads.
#include "pair_atomplete.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

using namespace LAMMPS_NS;

namespace {

/// Centres of a block for each thread, and those that a thread takes at once.
constexpr int BLOCK = 128, CHUNK = 32;

const char *const SYMBOLS[] = {
    "X",  "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si",
    "P",  "S",  "Cl", "Ar", "K",  "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu",
    "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",  "Zr", "Nb", "Mo", "Tc", "Ru",
    "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr",
    "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W",
    "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac",
    "Th", "Pa", "U",  "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf",
    "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"};

const char *symbol(int number) {
  const int known = sizeof(SYMBOLS) / sizeof(SYMBOLS[0]);
  return number > 0 && number < known ? SYMBOLS[number] : SYMBOLS[0];
}

}  // namespace

PairAtomplete::PairAtomplete(LAMMPS *lmp) : Pair(lmp) {
  single_enable = 0;
  restartinfo = 0;
  one_coeff = 1;
  manybody_flag = 1;
  no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_AVAIL;
}

PairAtomplete::~PairAtomplete() {
  if (copymode) return;
  if (allocated) {
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }
}

void PairAtomplete::settings(int narg, char **) {
  if (narg) error->all(FLERR, "pair_style atomplete takes no arguments");
}

void PairAtomplete::coeff(int narg, char **arg) {
  const int n = atom->ntypes;
  if (narg != 3 + n) {
    error->all(FLERR, "pair_coeff of atomplete: * * FILE and " + std::to_string(n) +
                          " elements, one for each type of atoms, not " +
                          std::to_string(std::max(narg - 3, 0)));
  }
  if (!allocated) {
    memory->create(setflag, n + 1, n + 1, "pair:setflag");
    memory->create(cutsq, n + 1, n + 1, "pair:cutsq");
    map = new int[n + 1];
    allocated = 1;
  }
  try {
    potential_ = std::make_unique<atomplete::Potential>(arg[2]);
  } catch (const std::exception &why) {
    error->all(FLERR, std::string(why.what()));
  }
  map_element2type(narg - 3, arg + 3);
  species_.assign(n + 1, -1);
  for (int type = 1; type <= n; ++type) {
    if (map[type] < 0) continue;  // NULL: of another style under pair_style hybrid
    std::string known;
    const std::vector<int> &numbers = potential_->species();
    for (int k = 0; k < static_cast<int>(numbers.size()); ++k) {
      known += std::string(" ") + symbol(numbers[k]);
      if (std::strcmp(elements[map[type]], symbol(numbers[k])) == 0) species_[type] = k;
    }
    if (species_[type] < 0) {
      error->all(FLERR, std::string(arg[2]) + ": the potential knows" + known + ", not " +
                            elements[map[type]] + " of type " + std::to_string(type));
    }
  }
}

void PairAtomplete::init_style() {
  if (std::strcmp(update->unit_style, "metal") != 0) {
    error->all(FLERR, std::string("pair_style atomplete needs units metal, not ") +
                          update->unit_style);
  }
  if (!force->newton_pair) error->all(FLERR, "pair_style atomplete needs newton on");
  if (atom->molecular != Atom::ATOMIC) {
    for (int k = 1; k < 4; ++k) {
      if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0) {
        error->all(FLERR, "pair_style atomplete must see bonded neighbors: "
                          "special_bonds lj/coul 1 1 1");
      }
    }
  }
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

double PairAtomplete::init_one(int i, int j) {
  if (!setflag[i][j]) error->all(FLERR, "pair_style atomplete: pair_coeff is missing");
  return potential_->cutoff();
}

void PairAtomplete::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  const int block = BLOCK * std::max(1, comm->nthreads);
  for (int begin = 0; begin < list->inum; begin += block) {
    const int end = std::min(begin + block, list->inum);
    evaluate(begin, end);
    scatter(begin, end);
  }
}

/// Energies and derivatives of centres `begin` to `end` of the list.
void PairAtomplete::evaluate(int begin, int end) {
  const int n = end - begin, threads = std::max(1, comm->nthreads);
  const int *const type = atom->type, *const centers = list->ilist + begin;
  const double *const *const x = atom->x;
  order_.clear();
  first_.resize(n + 1);
  first_[0] = 0;
  for (int k = 0; k < n; ++k) {
    if (species_[type[centers[k]]] >= 0) order_.push_back(k);
    first_[k + 1] = first_[k] + list->numneigh[centers[k]];
  }
  // centres of one species share work
  std::stable_sort(order_.begin(), order_.end(), [&](int a, int b) {
    return species_[type[centers[a]]] < species_[type[centers[b]]];
  });
  const std::size_t pairs = first_[n];
  if (neighbor_.size() < pairs) {
    neighbor_.resize(pairs);
    neighbor_species_.resize(pairs);
    r_.resize(3 * pairs);
    gradient_.resize(3 * pairs);
  }
  environments_.resize(n);
  if (static_cast<int>(workspaces_.size()) < threads) workspaces_.resize(threads);
  const double cutoff = potential_->cutoff() * potential_->cutoff();
  const int taken = order_.size();
  int failed = 0;

#if defined(_OPENMP)
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(| : failed)
#endif
  for (int chunk = 0; chunk < taken; chunk += CHUNK) {
#if defined(_OPENMP)
    atomplete::Workspace &workspace = workspaces_[omp_get_thread_num()];
#else
    atomplete::Workspace &workspace = workspaces_[0];
#endif
    const int count = std::min(CHUNK, taken - chunk);
    atomplete::Environment some[CHUNK];
    for (int c = 0; c < count; ++c) {
      const int k = order_[chunk + c], i = centers[k];
      int at = first_[k];
      for (int m = 0; m < list->numneigh[i]; ++m) {
        const int j = list->firstneigh[i][m] & NEIGHMASK;
        if (species_[type[j]] < 0) continue;
        const double dx = x[j][0] - x[i][0], dy = x[j][1] - x[i][1], dz = x[j][2] - x[i][2];
        if (dx * dx + dy * dy + dz * dz >= cutoff) continue;
        neighbor_[at] = j;
        neighbor_species_[at] = species_[type[j]];
        r_[3 * at] = dx;
        r_[3 * at + 1] = dy;
        r_[3 * at + 2] = dz;
        ++at;
      }
      some[c] = {species_[type[i]],
                 at - first_[k],
                 r_.data() + 3 * first_[k],
                 neighbor_species_.data() + first_[k],
                 gradient_.data() + 3 * first_[k],
                 0.0};
    }
    try {
      potential_->centers(count, some, workspace);
    } catch (const std::exception &) {
      failed = 1;
    }
    for (int c = 0; c < count; ++c) environments_[order_[chunk + c]] = some[c];
  }
  if (failed) error->one(FLERR, "pair_style atomplete: out of memory");
}

/// Add what was found of these centres to energies, forces and virials.
void PairAtomplete::scatter(int begin, int end) {
  double *const *const f = atom->f;
  for (int k = 0; k < end - begin; ++k) {
    const int i = list->ilist[begin + k];
    if (species_[atom->type[i]] < 0) continue;
    const atomplete::Environment &found = environments_[k];
    const int *const neighbors = neighbor_.data() + first_[k];
    if (eflag_global) eng_vdwl += found.energy;
    if (eflag_atom) eatom[i] += found.energy;
    for (int m = 0; m < found.n; ++m) {
      const double *const g = found.gradient + 3 * m;
      const int j = neighbors[m];
      for (int axis = 0; axis < 3; ++axis) {
        f[i][axis] += g[axis];
        f[j][axis] -= g[axis];
      }
      if (!vflag_either) continue;
      const double *const r = found.r + 3 * m;
      const double v[9] = {-r[0] * g[0], -r[1] * g[1], -r[2] * g[2],
                           -r[0] * g[1], -r[0] * g[2], -r[1] * g[2],
                           -r[1] * g[0], -r[2] * g[0], -r[2] * g[1]};
      // the neighbour has the virial of the force on it, as the heat current needs it
      for (int part = 0; part < 6; ++part) {
        if (vflag_global) virial[part] += v[part];
        if (vflag_atom) vatom[j][part] += v[part];
      }
      if (cvflag_atom) {
        for (int part = 0; part < 9; ++part) cvatom[j][part] += v[part];
      }
    }
  }
}

double PairAtomplete::memory_usage() {
  double bytes = Pair::memory_usage();
  bytes += sizeof(double) * (r_.capacity() + gradient_.capacity());
  bytes += sizeof(int) * (neighbor_.capacity() + neighbor_species_.capacity());
  bytes += sizeof(atomplete::Environment) * environments_.capacity();
  return bytes;
}
