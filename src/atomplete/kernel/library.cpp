// The kernel for other languages: plain functions over whole systems, centres in parallel.
#include "atomplete.hpp"

#include <exception>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

/// Centres that a thread takes at once.
constexpr int CHUNK = 32;

void copy_message(const char *what, char *message, int size) {
  std::strncpy(message, what, size - 1);
  message[size - 1] = '\0';
}

}  // namespace

extern "C" {

/// Number of this interface: another one is not called.
int atomplete_interface() { return 1; }

/// A potential from the bytes of a file of tables; null, and a sentence, if it cannot be read.
/// If `single` is not zero, products with frequencies are in single precision.
void *atomplete_read(const char *data, std::int64_t size, const char *name, int single,
                     char *message, int message_size) {
  try {
    return new atomplete::Potential(data, static_cast<std::size_t>(size), name, single != 0);
  } catch (const std::exception &error) {
    copy_message(error.what(), message, message_size);
    return nullptr;
  }
}

void atomplete_free(void *potential) { delete static_cast<atomplete::Potential *>(potential); }

/// Energies of centres and their derivatives in the vectors to their neighbours.
///
/// Neighbours of centre i are pairs first[i] to first[i + 1] of `vectors` (pair × 3) and
/// `neighbor_species`; `order` lists the centres so that those of one species follow each other.
/// Returns zero, or one if there is no memory left.
int atomplete_evaluate(const void *potential, std::int64_t n_centers, const std::int64_t *order,
                       const int *species, const std::int64_t *first, const double *vectors,
                       const int *neighbor_species, double *energies, double *gradient,
                       int threads) {
  const auto &kernel = *static_cast<const atomplete::Potential *>(potential);
  const std::int64_t n_chunks = (n_centers + CHUNK - 1) / CHUNK;
  int failed = 0;
  (void)threads;
#ifdef _OPENMP
#pragma omp parallel num_threads(threads) reduction(| : failed)
#endif
  {
    atomplete::Workspace workspace;
    atomplete::Environment some[CHUNK];
#ifdef _OPENMP
#pragma omp for schedule(dynamic)
#endif
    for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
      const std::int64_t begin = chunk * CHUNK, end = std::min(begin + CHUNK, n_centers);
      for (std::int64_t k = begin; k < end; ++k) {
        const std::int64_t i = order[k];
        some[k - begin] = {species[i], static_cast<int>(first[i + 1] - first[i]),
                           vectors + 3 * first[i], neighbor_species + first[i],
                           gradient ? gradient + 3 * first[i] : nullptr, 0.0};
      }
      try {
        kernel.centers(static_cast<int>(end - begin), some, workspace);
      } catch (const std::exception &) {
        failed = 1;
      }
      for (std::int64_t k = begin; k < end; ++k) energies[order[k]] = some[k - begin].energy;
    }
  }
  return failed;
}

}  // extern "C"
