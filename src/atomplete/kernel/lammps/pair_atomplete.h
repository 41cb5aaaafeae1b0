// pair_style atomplete: potentials that `atomplete export MODEL --to lammps` wrote.
//
// Loaded as a plugin that `atomplete lammps` builds; or copy this file, pair_atomplete.cpp and
// atomplete.hpp into the folder src of LAMMPS and build that.
#ifdef PAIR_CLASS
// clang-format off
PairStyle(atomplete,PairAtomplete);
// clang-format on
#else

#ifndef LMP_PAIR_ATOMPLETE_H
#define LMP_PAIR_ATOMPLETE_H

#include "atomplete.hpp"
#include "pair.h"

#include <memory>
#include <vector>

namespace LAMMPS_NS {

class PairAtomplete : public Pair {
 public:
  PairAtomplete(class LAMMPS *);
  ~PairAtomplete() override;
  void compute(int, int) override;
  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  double memory_usage() override;

 private:
  void evaluate(int begin, int end);
  void scatter(int begin, int end);

  std::unique_ptr<atomplete::Potential> potential_;
  std::vector<int> species_;  // of each type of atoms, -1 for none

  // of a block of centres: where the neighbours of each begin, and all that is known of them
  std::vector<int> order_, first_, neighbor_, neighbor_species_;
  std::vector<double> r_, gradient_;
  std::vector<atomplete::Environment> environments_;
  std::vector<atomplete::Workspace> workspaces_;
};

}  // namespace LAMMPS_NS

#endif
#endif
