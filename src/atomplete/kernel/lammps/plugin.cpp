// The plugin: what the command `plugin load` of LAMMPS looks for.
#include "pair_atomplete.h"

#include "error.h"
#include "lammps.h"

#include <string>

#ifndef ATOMPLETE_LAMMPS
#error "compile with -DATOMPLETE_LAMMPS=20250722 or the like, the version that the headers are of"
#endif

using namespace LAMMPS_NS;

namespace {

/// As in lammpsplugin.h, which packages of LAMMPS for Python lack.
struct Plugin {
  const char *version, *style, *name, *info, *author;
  void *(*creator)(void *);
  void *handle;
};

void *create(void *lmp) { return new PairAtomplete(static_cast<LAMMPS *>(lmp)); }

}  // namespace

extern "C" void lammpsplugin_init(void *lammps, void *handle, void *registrar) {
  LAMMPS *const lmp = static_cast<LAMMPS *>(lammps);
  if (lmp->num_ver != ATOMPLETE_LAMMPS) {
    lmp->error->all(FLERR, "pair_style atomplete was built for LAMMPS " +
                               std::to_string(ATOMPLETE_LAMMPS) + ", not " +
                               std::to_string(lmp->num_ver) + ": run `atomplete lammps` again");
  }
  Plugin plugin = {lmp->version, "pair", "atomplete", "pair style atomplete 1", "atomplete",
                   create, handle};
  reinterpret_cast<void (*)(Plugin *, void *)>(registrar)(&plugin, lammps);
}
