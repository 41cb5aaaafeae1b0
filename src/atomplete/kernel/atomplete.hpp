// A potential that is linear in random Fourier features, without torch: C++17, one header.
//
// The energy of a centre is a sum over rows: one without tagged neighbours, one for each tagged
// neighbour, one for each pair of them. A row holds channels h, trilinear forms in the
// coefficients of tagged neighbours and in densities, and enters with
// weight · (Σ_d c_d cos(Ω_d·h + b_d) + Σ_c linear_c h_c). Derivatives are written by hand: the same
// steps backwards. See docs/decisions/0010-kernel.md.
//
// Units: eV and Å. Vectors of the compiler (GCC, Clang) stand for SIMD registers: compile with
// -O3 -march=native.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#if __cplusplus < 201703L
#error "atomplete.hpp is C++17: compile with -std=c++17, or cmake -D CMAKE_CXX_STANDARD=17"
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "atomplete.hpp reads files in the byte order of the machine: little-endian ones only"
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define ATOMPLETE_BYTES 64
#elif defined(__AVX__)
#define ATOMPLETE_BYTES 32
#else
#define ATOMPLETE_BYTES 16
#endif

// Keeps the compiler from simplifying (x + y) - y and x - a·y - b·y, which -ffast-math allows.
#if defined(__x86_64__)
#define ATOMPLETE_KEEP(x) __asm__("" : "+x"(x))
#elif defined(__aarch64__)
#define ATOMPLETE_KEEP(x) __asm__("" : "+w"(x))
#else
#define ATOMPLETE_KEEP(x)
#endif

namespace atomplete {

/// The neighbours of a centre, and where its energy and derivatives are written to.
struct Environment {
  int species = 0;                        ///< Index of the species of the centre.
  int n = 0;                              ///< Number of neighbours.
  const double *r = nullptr;              ///< Vectors r_j − r_i, n × 3, Å.
  const int *neighbor_species = nullptr;  ///< Indices of species, n.
  double *gradient = nullptr;             ///< Derivatives in r, n × 3, eV/Å; none if null.
  double energy = 0.0;                    ///< Of the centre, eV.
};

namespace detail {

typedef double Vec __attribute__((vector_size(ATOMPLETE_BYTES), may_alias));
typedef std::int64_t Bits __attribute__((vector_size(ATOMPLETE_BYTES), may_alias));
constexpr int LANES = ATOMPLETE_BYTES / sizeof(double);
typedef float SingleVec __attribute__((vector_size(ATOMPLETE_BYTES), may_alias));
typedef std::int32_t SingleBits __attribute__((vector_size(ATOMPLETE_BYTES), may_alias));

/// A register of real numbers of a type.
template <class Real>
struct Register;
template <>
struct Register<double> {
  using type = Vec;
};
template <>
struct Register<float> {
  using type = SingleVec;
};

/// Numbers that begin at a whole register.
template <class T>
struct Aligned {
  using value_type = T;
  Aligned() = default;
  template <class U>
  Aligned(const Aligned<U> &) {}
  T *allocate(std::size_t n) {
    return static_cast<T *>(::operator new(n * sizeof(T), std::align_val_t(64)));
  }
  void deallocate(T *p, std::size_t) { ::operator delete(p, std::align_val_t(64)); }
  bool operator==(const Aligned &) const { return true; }
  bool operator!=(const Aligned &) const { return false; }
};
template <class Real>
using ArrayOf = std::vector<Real, Aligned<Real>>;
using Array = ArrayOf<double>;

template <class Real>
typename Register<Real>::type *vectors(ArrayOf<Real> &a) {
  return reinterpret_cast<typename Register<Real>::type *>(a.data());
}
template <class Real>
const typename Register<Real>::type *vectors(const ArrayOf<Real> &a) {
  return reinterpret_cast<const typename Register<Real>::type *>(a.data());
}

/// At least so many numbers, without a new allocation where there is room.
template <class Real>
void reserve(ArrayOf<Real> &a, std::size_t n) {
  if (a.size() < n) a.resize(n);
}

inline double sum(const Vec &v) {
  double total = 0.0;
  for (int lane = 0; lane < LANES; ++lane) total += v[lane];
  return total;
}

/// Sine and cosine of all lanes, to the last digits: reduced by multiples of π/2 in three parts,
/// then the polynomials of fdlibm.
inline void sine_and_cosine(const Vec &x, Vec &sine, Vec &cosine) {
  constexpr double magic = 6755399441055744.0;  // 1.5 · 2^52: its last bits become the multiple
  Vec shifted = x * 0.63661977236758134308 + magic;
  ATOMPLETE_KEEP(shifted);
  const Bits quadrant = (Bits)shifted;
  Vec k = shifted - magic;
  ATOMPLETE_KEEP(k);
  Vec y = x - k * 1.57079632673412561417e+00;
  ATOMPLETE_KEEP(y);
  y = y - k * 6.07710050630396597660e-11;
  ATOMPLETE_KEEP(y);
  y = y - k * 2.02226624879595063154e-21;
  const Vec z = y * y;
  Vec s = z * 1.58969099521155010221e-10 - 2.50507602534068634195e-08;
  s = z * s + 2.75573137070700676789e-06;
  s = z * s - 1.98412698298579493134e-04;
  s = z * s + 8.33333333332248946124e-03;
  s = z * s - 1.66666666666666324348e-01;
  s = y + y * z * s;
  Vec c = z * -1.13596475577881948265e-11 + 2.08757232129817482790e-09;
  c = z * c - 2.75573143513906633035e-07;
  c = z * c + 2.48015872894767294178e-05;
  c = z * c - 1.38888888888741095749e-03;
  c = z * c + 4.16666666666666019037e-02;
  c = 1.0 + z * (z * c - 0.5);
  const Bits odd = (quadrant & 1) != 0;
  const Bits sign_of_sine = (quadrant & 2) << 62, sign_of_cosine = ((quadrant + 1) & 2) << 62;
  sine = (Vec)(((Bits)s & ~odd) | ((Bits)c & odd));
  cosine = (Vec)(((Bits)c & ~odd) | ((Bits)s & odd));
  sine = (Vec)((Bits)sine ^ sign_of_sine);
  cosine = (Vec)((Bits)cosine ^ sign_of_cosine);
  for (int lane = 0; lane < LANES; ++lane) {
    if (!(std::fabs(x[lane]) < 1e6)) {  // multiples would not be exact
      sine[lane] = std::sin(x[lane]);
      cosine[lane] = std::cos(x[lane]);
    }
  }
}

/// The same in single precision, with the polynomials of Cephes.
inline void sine_and_cosine(const SingleVec &x, SingleVec &sine, SingleVec &cosine) {
  constexpr float magic = 12582912.0f;  // 1.5 · 2^23
  SingleVec shifted = x * 0.636619772f + magic;
  ATOMPLETE_KEEP(shifted);
  const SingleBits quadrant = (SingleBits)shifted;
  SingleVec k = shifted - magic;
  ATOMPLETE_KEEP(k);
  SingleVec y = x - k * 1.5703125f;
  ATOMPLETE_KEEP(y);
  y = y - k * 4.837512969970703125e-4f;
  ATOMPLETE_KEEP(y);
  y = y - k * 7.54978995489188216e-8f;
  const SingleVec z = y * y;
  SingleVec s = z * -1.9515295891e-4f + 8.3321608736e-3f;
  s = z * s - 1.6666654611e-1f;
  s = y + y * z * s;
  SingleVec c = z * 2.443315711809948e-5f - 1.388731625493765e-3f;
  c = z * c + 4.166664568298827e-2f;
  c = 1.0f + z * (z * c - 0.5f);
  const SingleBits odd = (quadrant & 1) != 0;
  sine = (SingleVec)(((SingleBits)s & ~odd) | ((SingleBits)c & odd));
  cosine = (SingleVec)(((SingleBits)c & ~odd) | ((SingleBits)s & odd));
  sine = (SingleVec)((SingleBits)sine ^ ((quadrant & 2) << 30));
  cosine = (SingleVec)((SingleBits)cosine ^ (((quadrant + 1) & 2) << 30));
  for (int lane = 0; lane < 2 * LANES; ++lane) {
    if (!(std::fabs(x[lane]) < 1e4f)) {  // multiples would not be exact
      sine[lane] = std::sin(x[lane]);
      cosine[lane] = std::cos(x[lane]);
    }
  }
}

/// 1 − 10x³ + 15x⁴ − 6x⁵ of x = r / cutoff and its derivative in r: zero from the cutoff on.
inline double smooth_step(double r, double cutoff, double &slope) {
  const double x = std::min(std::max((cutoff - r) / cutoff, 0.0), 1.0);
  slope = -30.0 * x * x * (1.0 + x * (x - 2.0)) / cutoff;
  return x * x * x * (10.0 + x * (6.0 * x - 15.0));
}

/// SHA-256 of some bytes, as hexadecimal digits.
inline std::string sha256(const unsigned char *data, std::size_t size) {
  static constexpr std::uint32_t constants[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
      0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
      0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
      0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
      0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
      0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
      0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
      0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
      0xc67178f2};
  std::uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const auto rotated = [](std::uint32_t x, int n) { return (x >> n) | (x << (32 - n)); };
  const auto take = [&](const unsigned char *block) {
    std::uint32_t w[64], s[8];
    for (int i = 0; i < 16; ++i) {
      w[i] = std::uint32_t(block[4 * i]) << 24 | std::uint32_t(block[4 * i + 1]) << 16 |
             std::uint32_t(block[4 * i + 2]) << 8 | std::uint32_t(block[4 * i + 3]);
    }
    for (int i = 16; i < 64; ++i) {
      const std::uint32_t a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + (rotated(a, 7) ^ rotated(a, 18) ^ (a >> 3)) + w[i - 7] +
             (rotated(b, 17) ^ rotated(b, 19) ^ (b >> 10));
    }
    std::copy(state, state + 8, s);
    for (int i = 0; i < 64; ++i) {
      const std::uint32_t one = s[7] + (rotated(s[4], 6) ^ rotated(s[4], 11) ^ rotated(s[4], 25)) +
                                ((s[4] & s[5]) ^ (~s[4] & s[6])) + constants[i] + w[i];
      const std::uint32_t two = (rotated(s[0], 2) ^ rotated(s[0], 13) ^ rotated(s[0], 22)) +
                                ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
      std::copy_backward(s, s + 7, s + 8);
      s[4] += one;
      s[0] = one + two;
    }
    for (int i = 0; i < 8; ++i) state[i] += s[i];
  };
  std::size_t done = 0;
  for (; done + 64 <= size; done += 64) take(data + done);
  unsigned char last[128] = {};
  std::copy(data + done, data + size, last);
  last[size - done] = 0x80;
  const std::size_t end = size - done < 56 ? 64 : 128;
  for (int i = 0; i < 8; ++i) last[end - 1 - i] = (std::uint64_t(size) * 8) >> (8 * i);
  for (std::size_t i = 0; i < end; i += 64) take(last + i);
  std::string digits;
  for (const std::uint32_t word : state) {
    for (int shift = 28; shift >= 0; shift -= 4) digits += "0123456789abcdef"[(word >> shift) & 15];
  }
  return digits;
}

/// Values of a JSON text by their path, such as "arrays.radial_1.shape"; lists of numbers whole.
class Json {
 public:
  std::map<std::string, std::vector<double>> numbers;
  std::map<std::string, std::string> texts;

  explicit Json(const std::string &text) : text_(text) {
    value("");
    if (peek() != '\0') fail();
  }

 private:
  const std::string &text_;
  std::size_t at_ = 0;

  [[noreturn]] static void fail() { throw std::runtime_error("damaged header"); }
  char peek() {
    while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) && text_[at_]) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void expect(char c) {
    if (peek() != c) fail();
    ++at_;
  }
  bool next(char end) {  // whether a comma follows, else the end
    if (peek() == ',') return ++at_, true;
    return expect(end), false;
  }
  std::string string() {
    expect('"');
    std::string found;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' && ++at_ == text_.size()) fail();
      found += text_[at_++];
    }
    expect('"');
    return found;
  }
  void value(const std::string &path) {
    const char c = peek();
    if (c == '{') {
      ++at_;
      if (peek() == '}') { ++at_; return; }
      do {
        const std::string key = string();
        expect(':');
        value(path.empty() ? key : path + "." + key);
      } while (next('}'));
    } else if (c == '[') {
      ++at_;
      numbers[path];
      if (peek() == ']') { ++at_; return; }
      do value(path); while (next(']'));
    } else if (c == '"') {
      texts[path] = string();
    } else {
      const char *begin = text_.c_str() + at_;
      char *end = nullptr;
      const double number = std::strtod(begin, &end);
      if (end == begin) fail();
      at_ += end - begin;
      numbers[path].push_back(number);
    }
  }
};

/// A file of tables: its header, and its arrays once their sizes and the hash were checked.
class Tables {
 public:
  Tables(const char *data, std::size_t size, const std::string &name) : name_(name) {
    const std::string first = "atomplete potential, version ";
    const char *end = data + size, *line = std::find(data, end, '\n');
    if (std::size_t(line - data) < first.size() || !std::equal(first.begin(), first.end(), data)) {
      fail("not a file of tables that `atomplete export` wrote");
    }
    const std::string version(data + first.size(), line);
    if (version != "1") {
      fail("version " + version.substr(0, 20) + " of the format, but version 1 is understood");
    }
    const char *header = line == end ? end : line + 1, *header_end = std::find(header, end, '\n');
    if (header_end == end) fail("cut short within its header");
    const std::string lead = "{\"sha256\": \"";
    if (std::size_t(header_end - header) < lead.size() + 65 ||
        !std::equal(lead.begin(), lead.end(), header)) {
      fail("its header is damaged");
    }
    const char *hash = header + lead.size(), *rest = hash + 65;
    begin_ = header_end + 1;
    try {
      json_.reset(new Json(std::string(header, header_end)));
    } catch (const std::runtime_error &) {
      fail("its header is damaged");
    }
    const double bytes = number("bytes");
    if (double(end - begin_) < bytes) {
      fail("cut short: " + std::to_string(end - begin_) + " of " +
           std::to_string(static_cast<long long>(bytes)) + " bytes of arrays are there");
    }
    if (sha256(reinterpret_cast<const unsigned char *>(rest), end - rest) !=
        std::string(hash, hash + 64)) {
      fail("damaged: its contents do not have the SHA-256 of its header");
    }
    if (text("units.energy") != "eV" || text("units.length") != "angstrom") {
      fail("its units are not eV and angstrom");
    }
  }

  [[noreturn]] void fail(const std::string &why) const {
    throw std::runtime_error(name_ + ": " + why);
  }
  std::vector<int> integers(const std::string &path, std::size_t count = 0) const {
    const auto found = json_->numbers.find(path);
    if (found == json_->numbers.end() || (count && found->second.size() != count)) {
      fail("its header says nothing of " + path);
    }
    return std::vector<int>(found->second.begin(), found->second.end());
  }
  double number(const std::string &path) const {
    integers(path, 1);
    return json_->numbers.at(path)[0];
  }
  std::string text(const std::string &path) const {
    const auto found = json_->texts.find(path);
    return found == json_->texts.end() ? "" : found->second;
  }
  /// Length of an array along its first axis.
  std::size_t length(const std::string &name) const {
    return integers("arrays." + name + ".shape").at(0);
  }
  template <class T>
  std::vector<T> array(const std::string &name, std::size_t count) const {
    const std::string path = "arrays." + name;
    std::size_t found = 1;
    for (const int axis : integers(path + ".shape")) found *= axis;
    const double offset = number(path + ".offset"), bytes = number("bytes");
    if (found != count || offset < 0 || offset + double(count * sizeof(T)) > bytes ||
        text(path + ".dtype") != (sizeof(T) == 8 ? "float64" : "int32")) {
      fail("the array " + name + " has another size or type than the others");
    }
    std::vector<T> values(count);
    if (count) std::memcpy(values.data(), begin_ + std::size_t(offset), count * sizeof(T));
    return values;
  }

 private:
  std::string name_;
  const char *begin_ = nullptr;
  struct Holder {  // a pointer that owns, without <memory>
    Json *json = nullptr;
    ~Holder() { delete json; }
    void reset(Json *other) { delete json; json = other; }
    Json *operator->() const { return json; }
  } json_;
};

/// l of each component (l, m).
constexpr int ORDERS[81] = {0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4,
                            4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6,
                            6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
                            7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8};

/// One number in a coupling, for all channels of a path.
struct Term {
  int x;
  double factor;
};
/// Terms with the same y and z.
struct Product {
  int y, z, first, last;
};
/// Products whose terms have the same weights.
struct Path {
  int first, last;      // products
  int begin, end;       // registers of channels where weights are not zero
};

/// Features of a row in a tile; their frequencies stand one after another for each channel.
constexpr int TILE = 12;

/// Registers of rows that go through the frequencies together.
#if ATOMPLETE_BYTES == 64
constexpr int AT_ONCE = 2;
#else
constexpr int AT_ONCE = 1;
#endif

/// Frequencies with phases, and coefficients, of the cosines of a level.
template <class Real>
struct Cosines {
  ArrayOf<Real> frequencies;   // tile, channel and then choice of species, feature in the tile
  ArrayOf<Real> coefficients;  // species, feature
};

/// Rows in the lanes of registers, channel by channel, and derivatives in them.
template <class Real>
struct Lanes {
  ArrayOf<Real> values, bars;
};

/// What is known of the rows with the same number of tagged neighbours.
struct Level {
  int channels, registers, width, features, tiles, factors, n_l, n_radial, choices;
  Array radial;       // species, n, factor, l, channel
  Array weights;      // path, channel
  Array odd;          // channel, 1 where it is squared
  Array linear;       // species, channel
  Cosines<double> cosines;
  Cosines<float> single;  // in place of these, if they are asked for
  std::vector<Term> terms;
  std::vector<Product> products;
  std::vector<Path> paths;

  const Vec *mixing(int species, int n, int factor) const {
    return vectors(radial) + ((species * n_radial + n) * factors + factor) * n_l * registers;
  }
};

/// A neighbour within the cutoff; the tagged ones come first.
struct Neighbor {
  int place, species;
  double r, unit[3], weight, weight_slope, weight_bar;
};

/// What is kept of a centre for the way back, by level where there is a level axis.
struct Center {
  Environment *environment = nullptr;
  int n_tags = 0;
  std::vector<Neighbor> neighbors;
  std::vector<char> present;              // species among the neighbours
  std::vector<double> radial, steep;      // neighbour, n
  Array harmonics, density;               // neighbour, lm; species, n, lm; whole registers
  Array mixed[3];                         // factor, register, lm with its constant
  Array contracted[2];                    // register, lm with its constant
  Array radial_of_tags, angular_of_tags;  // tag, l, register, of level 1
  Array radial_of_pairs, tagged, turned, matrix;  // of level 2
  int first_row[3] = {0, 0, 0}, n_rows[3] = {0, 0, 0};
};

/// Rows of one level of some centres.
struct RowTable {
  int count = 0;
  Array values, chain, bar, cosines;  // row, channel; cosines: row
  std::vector<int> choice;
};

}  // namespace detail

/// Memory that evaluations use again; one for each thread.
class Workspace {
 private:
  friend class Potential;
  std::vector<detail::Center> centers_;
  detail::RowTable rows_[3];
  detail::Lanes<double> lanes_;
  detail::Lanes<float> single_lanes_;
  detail::Array mixed_bar_, density_bar_, radial_bar_, harmonics_bar_;
  detail::Array contracted_bar_, mixtures_bar_, mixtures_of_pairs_bar_;
  detail::Array tagged_bar_, turned_bar_, matrix_bar_;
  detail::Array density_sums_, harmonics_sums_;
};

/// A potential read from a file that `atomplete export --to lammps` wrote.
class Potential {
 public:
  /// With `single` the products with frequencies are in single precision: see docs/potentials.md.
  /// Throws std::runtime_error with one sentence that names the file.
  explicit Potential(const std::string &file, bool single = false) : single_(single) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) throw std::runtime_error(file + ": no such file, or it cannot be read");
    const std::string content((std::istreambuf_iterator<char>(stream)),
                              std::istreambuf_iterator<char>());
    read(content.data(), content.size(), file);
  }
  /// The same of the bytes of such a file.
  Potential(const char *data, std::size_t size, const std::string &name, bool single = false)
      : single_(single) {
    read(data, size, name);
  }

  /// Radius of an environment, Å.
  double cutoff() const { return cutoff_; }
  /// Atomic numbers; the index of a species is its position here.
  const std::vector<int> &species() const { return species_; }

  /// Energy of a centre, eV, from all its neighbours within the cutoff (others are ignored), and
  /// its derivatives in the vectors to them, eV/Å, unless `gradient` is null.
  double center(int species, int n, const double *r, const int *neighbor_species, double *gradient,
                Workspace &workspace) const {
    Environment one{species, n, r, neighbor_species, gradient, 0.0};
    centers(1, &one, workspace);
    return one.energy;
  }

  /// The same of many centres. Those of one species that follow each other share the work on
  /// frequencies, which is quicker.
  void centers(int count, Environment *list, Workspace &workspace) const {
    if (n_l_ == 3) return centers_up_to<3>(count, list, workspace);
    if (n_l_ == 4) return centers_up_to<4>(count, list, workspace);
    centers_up_to<0>(count, list, workspace);
  }

 private:
  /// The same, compiled for a number of angular orders; of any number if it is zero.
  template <int N_L>
  void centers_up_to(int count, Environment *list, Workspace &workspace) const {
    for (int begin = 0; begin < count;) {
      for (auto &table : workspace.rows_) table.count = 0;
      int end = begin;
      const bool derivatives = list[begin].gradient != nullptr;
      while (end < count && list[end].species == list[begin].species &&
             (list[end].gradient != nullptr) == derivatives &&
             workspace.rows_[1].count < ROWS && end - begin < ROWS) {
        const std::size_t index = end - begin;
        if (workspace.centers_.size() <= index) workspace.centers_.emplace_back();
        forward<N_L>(list[end], workspace.centers_[index], workspace);
        ++end;
      }
      for (int tagged = 0; tagged < 3; ++tagged) {
        cosines(levels_[tagged], list[begin].species, workspace.rows_[tagged], derivatives,
                workspace);
      }
      for (int k = begin; k < end; ++k) backward<N_L>(workspace.centers_[k - begin], workspace);
      begin = end;
    }
  }

  using Level = detail::Level;
  using Vec = detail::Vec;
  using Array = detail::Array;
  using Center = detail::Center;
  using RowTable = detail::RowTable;
  static constexpr int LANES = detail::LANES, TILE = detail::TILE;
  /// Rows of tagged neighbours that are collected before they go through the frequencies.
  static constexpr int ROWS = 8 * detail::AT_ONCE * LANES;
  /// Registers of channels that are contracted together.
  static constexpr int AT_ONCE = 4;
  /// Components (l, m) for which there must be room.
  template <int N_L>
  static constexpr int MOST = N_L ? N_L * N_L : 81;

  bool single_ = false;
  double cutoff_ = 0.0, tag_cutoff_ = 0.0, decay_length_ = 0.0;
  int n_species_ = 0, n_radial_ = 0, n_l_ = 0;
  int size_ = 0, padded_ = 0;  // components (l, m), and as many as fill whole registers
  std::vector<int> species_;
  std::vector<double> reference_, reach_, lengths_, charges_, screening_, norms_;
  Level levels_[3];

  // reading

  void read(const char *data, std::size_t size, const std::string &name) {
    const detail::Tables file(data, size, name);
    species_ = file.integers("species");
    n_species_ = int(species_.size());
    cutoff_ = file.number("cutoff");
    tag_cutoff_ = file.number("tag_cutoff");
    decay_length_ = file.number("decay_length");
    n_radial_ = int(file.number("max_radial"));
    n_l_ = int(file.number("max_angular")) + 1;
    size_ = n_l_ * n_l_;
    padded_ = (size_ + LANES - 1) / LANES * LANES;
    if (n_l_ < 1 || n_l_ > 9 || n_radial_ < 1 || !(cutoff_ > 0.0) || !(tag_cutoff_ > 0.0)) {
      file.fail("its sizes make no sense");
    }
    const int s = n_species_;
    reference_ = file.array<double>("reference", s);
    reach_ = file.array<double>("reach", s * s);
    lengths_ = file.array<double>("lengths", s * s);
    charges_ = file.array<double>("charges", s * s);
    screening_ = file.array<double>("screening", 8);
    const auto channels = file.integers("channels", 3), features = file.integers("features", 3);
    const auto odd = file.integers("odd", 3);
    for (int tagged = 0; tagged < 3; ++tagged) {
      read_level(file, tagged, channels[tagged], features[tagged], odd[tagged]);
    }
    for (int l = 0; l < n_l_; ++l) {
      for (int m = -l; m <= l; ++m) {
        const int k = std::abs(m);
        double ratio = (2 * l + 1) / (4.0 * M_PI) * (k ? 2.0 : 1.0);
        for (int i = l - k + 1; i <= l + k; ++i) ratio /= i;
        norms_.push_back(std::sqrt(ratio));
      }
    }
  }

  void read_level(const detail::Tables &file, int tagged, int channels, int features, int odd) {
    Level &level = levels_[tagged];
    const std::string end = "_" + std::to_string(tagged);
    level.channels = channels;
    level.registers = (channels + LANES - 1) / LANES;
    level.width = level.registers * LANES;
    level.features = features;
    level.tiles = (features + TILE - 1) / TILE;
    level.factors = tagged == 2 ? 2 : 3;
    level.n_l = n_l_;
    level.n_radial = n_radial_;
    const int s = n_species_;
    level.choices = tagged == 0 ? 1 : tagged == 1 ? s : s * (s + 1) / 2;
    const auto padded = [&](const std::vector<double> &values) {
      const std::size_t rows = channels ? values.size() / channels : 0;
      Array found(rows * level.width, 0.0);
      for (std::size_t row = 0; row < rows; ++row) {
        std::copy_n(values.begin() + row * channels, channels, found.begin() + row * level.width);
      }
      return found;
    };
    level.radial = padded(file.array<double>(
        "radial" + end, std::size_t(s) * n_radial_ * level.factors * n_l_ * channels));
    level.linear = padded(file.array<double>("linear" + end, s * channels));
    std::vector<double> squared(channels, 0.0);
    for (int c = std::max(0, channels - odd); c < channels; ++c) squared[c] = 1.0;
    level.odd = padded(squared);
    const auto cosines = file.array<double>("cosines" + end, std::size_t(s) * features);
    const auto frequencies =
        file.array<double>("frequencies" + end, std::size_t(channels) * features);
    const auto phases = file.array<double>("phases" + end, std::size_t(level.choices) * features);
    const int rows = channels + level.choices;
    auto &table = level.cosines;
    table.coefficients.assign(std::size_t(s) * level.tiles * TILE, 0.0);
    table.frequencies.assign(std::size_t(level.tiles) * rows * TILE, 0.0);
    for (int d = 0; d < features; ++d) {
      for (int k = 0; k < s; ++k) {
        table.coefficients[k * level.tiles * TILE + d] = cosines[k * features + d];
      }
      double *column = &table.frequencies[std::size_t(d / TILE) * rows * TILE + d % TILE];
      for (int c = 0; c < channels; ++c) column[c * TILE] = frequencies[std::size_t(c) * features + d];
      for (int k = 0; k < level.choices; ++k) {
        column[(channels + k) * TILE] = phases[std::size_t(k) * features + d];
      }
    }
    if (single_) {
      level.single.coefficients.assign(table.coefficients.begin(), table.coefficients.end());
      level.single.frequencies.assign(table.frequencies.begin(), table.frequencies.end());
      table = {};
    }
    read_paths(file, end, level);
  }

  void read_paths(const detail::Tables &file, const std::string &end, Level &level) const {
    const std::size_t n_paths = file.length("weights" + end), n = file.length("couplings" + end);
    const auto weights = file.array<double>("weights" + end, n_paths * level.channels);
    const auto bounds = file.array<std::int32_t>("paths" + end, n_paths + 1);
    const auto entries = file.array<std::int32_t>("entries" + end, 3 * n);
    const auto couplings = file.array<double>("couplings" + end, n);
    level.weights.assign(n_paths * level.width, 0.0);
    for (std::size_t path = 0; path < n_paths; ++path) {
      const double *row = weights.data() + path * level.channels;
      std::copy_n(row, level.channels, level.weights.begin() + path * level.width);
      int first = level.channels, last = -1;
      for (int c = 0; c < level.channels; ++c) {
        if (row[c] != 0.0) first = std::min(first, c), last = c;
      }
      detail::Path found{int(level.products.size()), 0, first / LANES, last / LANES + 1};
      if (last < 0) found.begin = found.end = 0;
      if (bounds[path] < 0 || bounds[path] > bounds[path + 1] || std::size_t(bounds[path + 1]) > n) {
        file.fail("the bounds of its paths make no sense");
      }
      for (int e = bounds[path]; e < bounds[path + 1]; ++e) {
        const int x = entries[3 * e], y = entries[3 * e + 1], z = entries[3 * e + 2];
        if (std::min({x, y, z}) < 0 || std::max({x, y, z}) > size_) {
          file.fail("an entry of its couplings makes no sense");
        }
        const bool same = int(level.products.size()) > found.first &&
                          level.products.back().y == y && level.products.back().z == z;
        if (!same) level.products.push_back({y, z, int(level.terms.size()), 0});
        level.terms.push_back({x, couplings[e]});
        level.products.back().last = int(level.terms.size());
      }
      found.last = int(level.products.size());
      level.paths.push_back(found);
    }
  }

  // radial functions and harmonics

  /// sin(π n x) f_c(r) of all n by recurrence, and derivatives in r, of neighbours side by side.
  void radial(Center &center, int begin, int end) const {
    const double reach = -std::expm1(-cutoff_ / decay_length_);
    Vec r = Vec{} + cutoff_, fall, s1, c1;
    for (int j = begin; j < end; ++j) r[j - begin] = center.neighbors[j].r;
    for (int lane = 0; lane < LANES; ++lane) fall[lane] = std::exp(-r[lane] / decay_length_);
    detail::sine_and_cosine((1.0 - fall) * (M_PI / reach), s1, c1);
    const Vec dx = fall * (M_PI / (decay_length_ * reach)), y = (cutoff_ - r) / cutoff_;
    const Vec f = y * y * y * (10.0 + y * (6.0 * y - 15.0));
    const Vec df = y * y * (1.0 + y * (y - 2.0)) * (-30.0 / cutoff_);
    Vec s = s1, c = c1;
    for (int n = 0; n < n_radial_; ++n) {
      const Vec value = s * f, slope = s * df + double(n + 1) * dx * c * f;
      for (int j = begin; j < end; ++j) {
        center.radial[std::size_t(j) * n_radial_ + n] = value[j - begin];
        center.steep[std::size_t(j) * n_radial_ + n] = slope[j - begin];
      }
      const Vec next = s * c1 + c * s1;
      c = c * c1 - s * s1;
      s = next;
    }
  }

  /// Real harmonics of a unit vector; with `slopes` also derivatives of r^l Y_lm, 3 × lm.
  void harmonics(const double *unit, double *values, double *slopes) const {
    const double x = unit[0], y = unit[1], z = unit[2];
    double p[10][10] = {}, a[10] = {1.0}, b[10] = {};  // p[l][m]: derivatives of Legendre's P_l
    for (int m = 0; m < n_l_; ++m) {
      p[m][m] = m ? (2 * m - 1) * p[m - 1][m - 1] : 1.0;
      if (m + 1 < n_l_) p[m + 1][m] = (2 * m + 1) * z * p[m][m];
      for (int l = m + 2; l < n_l_; ++l) {
        p[l][m] = ((2 * l - 1) * z * p[l - 1][m] - (l + m - 1) * p[l - 2][m]) / (l - m);
      }
      a[m + 1] = x * a[m] - y * b[m];
      b[m + 1] = x * b[m] + y * a[m];
    }
    for (int l = 0; l < n_l_; ++l) {
      for (int m = 0; m <= l; ++m) {
        const int plus = l * l + l + m, minus = l * l + l - m;
        const double norm = norms_[plus];
        values[plus] = norm * p[l][m] * a[m];
        if (m) values[minus] = norm * p[l][m] * b[m];
        if (!slopes) continue;
        const double below = l ? p[l - 1][m + 1] : 0.0, along = l ? (l + m) * p[l - 1][m] : 0.0;
        const double am = m ? m * a[m - 1] : 0.0, bm = m ? m * b[m - 1] : 0.0;
        double *d = slopes + 3 * plus;
        d[0] = norm * (p[l][m] * am - x * below * a[m]);
        d[1] = norm * (-p[l][m] * bm - y * below * a[m]);
        d[2] = norm * along * a[m];
        if (!m) continue;
        d = slopes + 3 * minus;
        d[0] = norm * (p[l][m] * bm - x * below * b[m]);
        d[1] = norm * (p[l][m] * am - y * below * b[m]);
        d[2] = norm * along * b[m];
      }
    }
  }

  // forward

  template <int N_L>
  void forward(Environment &environment, Center &center, Workspace &workspace) const {
    center.environment = &environment;
    expand(environment, center);
    for (int tagged = 0; tagged < 3; ++tagged) {
      const Level &level = levels_[tagged];
      mix<N_L>(level, tagged, center);
      const int tags = center.n_tags;
      const int n_rows = tagged == 0 ? 1 : tagged == 1 ? tags : tags * (tags - 1) / 2;
      RowTable &rows = workspace.rows_[tagged];
      center.first_row[tagged] = rows.count;
      center.n_rows[tagged] = n_rows;
      rows.count += n_rows;
      detail::reserve(rows.values, std::size_t(rows.count) * level.width);
      if (int(rows.choice.size()) < rows.count) rows.choice.resize(rows.count);
      if (tagged == 0) rows_without_tags(center, rows);
      if (tagged == 1) rows_of_one<N_L>(center, rows);
      if (tagged == 2) rows_of_two<N_L>(center, rows);
    }
  }

  /// Neighbours within the cutoff, their functions, and the density of each species.
  void expand(const Environment &environment, Center &center) const {
    center.neighbors.clear();
    center.present.assign(n_species_, 0);
    for (int tagged = 1; tagged >= 0; --tagged) {
      for (int j = 0; j < environment.n; ++j) {
        const double *v = environment.r + 3 * j;
        const double r = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        if (!(r < cutoff_) || (r < tag_cutoff_) != bool(tagged)) continue;
        detail::Neighbor found{j, environment.neighbor_species[j], r,
                               {v[0] / r, v[1] / r, v[2] / r}, 0.0, 0.0, 0.0};
        found.weight = detail::smooth_step(r, tag_cutoff_, found.weight_slope);
        center.neighbors.push_back(found);
        center.present[found.species] = 1;
      }
      if (tagged) center.n_tags = int(center.neighbors.size());
    }
    const int n = int(center.neighbors.size());
    center.radial.resize(std::size_t(n) * n_radial_);
    center.steep.resize(std::size_t(n) * n_radial_);
    detail::reserve(center.harmonics, std::size_t(n) * padded_);
    center.density.assign(std::size_t(n_species_) * n_radial_ * padded_, 0.0);
    for (int j = 0; j < n; j += LANES) radial(center, j, std::min(j + LANES, n));
    for (int j = 0; j < n; ++j) {
      const detail::Neighbor &neighbor = center.neighbors[j];
      const double *values = &center.radial[std::size_t(j) * n_radial_];
      double *y = &center.harmonics[std::size_t(j) * padded_];
      std::fill(y + size_, y + padded_, 0.0);
      harmonics(neighbor.unit, y, nullptr);
      double *rho = &center.density[std::size_t(neighbor.species) * n_radial_ * padded_];
      for (int k = 0; k < n_radial_; ++k) {
        for (int lm = 0; lm < padded_; ++lm) rho[k * padded_ + lm] += values[k] * y[lm];
      }
    }
  }

  /// Densities of all channels of a level, for the factors that no tagged neighbour takes.
  template <int N_L>
  void mix(const Level &level, int tagged, Center &center) const {
    const int size = N_L ? N_L * N_L : size_, stride = size + 1;
    Array &mixed = center.mixed[tagged];
    detail::reserve(mixed, std::size_t(level.factors) * level.registers * stride * LANES);
    for (int factor = tagged == 0 ? 0 : 1; factor < level.factors; ++factor) {
      for (int k = 0; k < level.registers; ++k) {
        Vec found[MOST<N_L>] = {};
        for (int s = 0; s < n_species_; ++s) {
          if (!center.present[s]) continue;
          for (int n = 0; n < n_radial_; ++n) {
            const Vec *w = level.mixing(s, n, factor) + k;
            const double *rho = &center.density[std::size_t(s * n_radial_ + n) * padded_];
#pragma GCC unroll 16
            for (int lm = 0; lm < size; ++lm) {
              found[lm] += w[detail::ORDERS[lm] * level.registers] * rho[lm];
            }
          }
        }
        Vec *out = detail::vectors(mixed) + (factor * level.registers + k) * stride;
#pragma GCC unroll 16
        for (int lm = 0; lm < size; ++lm) out[lm] = found[lm];
        out[size] = Vec{} + 1.0;
      }
    }
  }

  /// v_x = Σ_yz F_xyz b_y d_z of Q registers of channels.
  template <int Q>
  void contract(const Level &level, int k, const Vec *b, const Vec *d, Vec *v) const {
    const int stride = size_ + 1;
    std::fill_n(v, Q * stride, Vec{});
    for (std::size_t p = 0; p < level.paths.size(); ++p) {
      const detail::Path &path = level.paths[p];
      if (k + Q <= path.begin || k >= path.end) continue;
      const Vec *weight = detail::vectors(level.weights) + p * level.registers + k;
      for (int i = path.first; i < path.last; ++i) {
        const detail::Product &product = level.products[i];
        Vec of_product[Q];
        for (int q = 0; q < Q; ++q) {
          of_product[q] = weight[q] * b[q * stride + product.y] * d[q * stride + product.z];
        }
        for (int t = product.first; t < product.last; ++t) {
          const detail::Term term = level.terms[t];
          for (int q = 0; q < Q; ++q) v[q * stride + term.x] += term.factor * of_product[q];
        }
      }
    }
  }

  /// Derivatives in b and d from those in v.
  template <int Q>
  void contract_back(const Level &level, int k, const Vec *b, const Vec *d, const Vec *v_bar,
                     Vec *b_bar, Vec *d_bar) const {
    const int stride = size_ + 1;
    std::fill_n(b_bar, Q * stride, Vec{});
    std::fill_n(d_bar, Q * stride, Vec{});
    for (std::size_t p = 0; p < level.paths.size(); ++p) {
      const detail::Path &path = level.paths[p];
      if (k + Q <= path.begin || k >= path.end) continue;
      const Vec *weight = detail::vectors(level.weights) + p * level.registers + k;
      for (int i = path.first; i < path.last; ++i) {
        const detail::Product &product = level.products[i];
        Vec found[Q] = {};
        for (int t = product.first; t < product.last; ++t) {
          const detail::Term term = level.terms[t];
          for (int q = 0; q < Q; ++q) found[q] += term.factor * v_bar[q * stride + term.x];
        }
        for (int q = 0; q < Q; ++q) {
          found[q] *= weight[q];
          b_bar[q * stride + product.y] += found[q] * d[q * stride + product.z];
          d_bar[q * stride + product.z] += found[q] * b[q * stride + product.y];
        }
      }
    }
  }

  /// Contraction of the last two factors of a level, for all channels.
  void contract_all(int tagged, Center &center) const {
    const Level &level = levels_[tagged];
    const int stride = size_ + 1;
    detail::reserve(center.contracted[tagged], std::size_t(level.registers) * stride * LANES);
    for (int k = 0, done; k < level.registers; k += done) {
      done = k + AT_ONCE <= level.registers ? AT_ONCE : 1;
      const Vec *b = detail::vectors(center.mixed[tagged]) + (level.registers + k) * stride;
      const Vec *d = b + level.registers * stride;
      Vec *v = detail::vectors(center.contracted[tagged]) + k * stride;
      if (done == AT_ONCE) contract<AT_ONCE>(level, k, b, d, v);
      else contract<1>(level, k, b, d, v);
    }
  }

  /// Derivatives in the last two factors from those in the contraction.
  void contract_all_back(int tagged, const Center &center, Workspace &workspace) const {
    const Level &level = levels_[tagged];
    const int stride = size_ + 1;
    for (int k = 0, done; k < level.registers; k += done) {
      done = k + AT_ONCE <= level.registers ? AT_ONCE : 1;
      const std::size_t here = (level.registers + k) * stride;
      const Vec *b = detail::vectors(center.mixed[tagged]) + here;
      const Vec *d = b + level.registers * stride;
      const Vec *v_bar = detail::vectors(workspace.contracted_bar_) + k * stride;
      Vec *b_bar = detail::vectors(workspace.mixed_bar_) + here;
      Vec *d_bar = b_bar + level.registers * stride;
      if (done == AT_ONCE) contract_back<AT_ONCE>(level, k, b, d, v_bar, b_bar, d_bar);
      else contract_back<1>(level, k, b, d, v_bar, b_bar, d_bar);
    }
  }

  void rows_without_tags(Center &center, RowTable &rows) const {
    const Level &level = levels_[0];
    const int stride = size_ + 1, row = center.first_row[0];
    contract_all(0, center);
    for (int k = 0; k < level.registers; ++k) {
      const Vec *a = detail::vectors(center.mixed[0]) + k * stride;
      const Vec *v = detail::vectors(center.contracted[0]) + k * stride;
      Vec h{};
      for (int x = 0; x <= size_; ++x) h += a[x] * v[x];
      detail::vectors(rows.values)[row * level.registers + k] = h;
    }
    rows.choice[row] = 0;
  }

  template <int N_L>
  void rows_of_one(Center &center, RowTable &rows) const {
    const Level &level = levels_[1];
    const int n_l = N_L ? N_L : n_l_, stride = n_l * n_l + 1;
    detail::reserve(center.radial_of_tags, std::size_t(center.n_tags) * n_l * level.width);
    detail::reserve(center.angular_of_tags, std::size_t(center.n_tags) * n_l * level.width);
    if (!center.n_tags) return;
    contract_all(1, center);
    for (int j = 0; j < center.n_tags; ++j) {
      const int species = center.neighbors[j].species, row = center.first_row[1] + j;
      const double *y = &center.harmonics[std::size_t(j) * padded_];
      rows.choice[row] = species;
      Vec *u = detail::vectors(center.radial_of_tags) + j * n_l * level.registers;
      Vec *t = detail::vectors(center.angular_of_tags) + j * n_l * level.registers;
      Vec *h = detail::vectors(rows.values) + std::size_t(row) * level.registers;
      for (int k = 0; k < level.registers; ++k) {
        const Vec *v = detail::vectors(center.contracted[1]) + k * stride;
        Vec mixed[9];
        mixed_radial<N_L>(level, center, j, k, mixed);
        Vec found = v[stride - 1];
#pragma GCC unroll 4
        for (int l = 0; l < n_l; ++l) {
          Vec angular{};
#pragma GCC unroll 8
          for (int m = 0; m < 2 * l + 1; ++m) angular += v[l * l + m] * y[l * l + m];
          u[l * level.registers + k] = mixed[l];
          t[l * level.registers + k] = angular;
          found += mixed[l] * angular;
        }
        h[k] = found;
      }
    }
  }

  /// Mixtures of the radial functions of a tagged neighbour, one for each l.
  template <int N_L>
  void mixed_radial(const Level &level, const Center &center, int j, int k, Vec *mixed) const {
    const int n_l = N_L ? N_L : n_l_;
    const double *values = &center.radial[std::size_t(j) * n_radial_];
    Vec found[N_L ? N_L : 9] = {};
    for (int n = 0; n < n_radial_; ++n) {
      const Vec *w = level.mixing(center.neighbors[j].species, n, 0) + k;
#pragma GCC unroll 4
      for (int l = 0; l < n_l; ++l) found[l] += w[l * level.registers] * values[n];
    }
#pragma GCC unroll 4
    for (int l = 0; l < n_l; ++l) mixed[l] = found[l];
  }

  template <int N_L>
  void rows_of_two(Center &center, RowTable &rows) const {
    const Level &level = levels_[2];
    const int n_l = N_L ? N_L : n_l_, size = n_l * n_l, stride = size + 1, tags = center.n_tags;
    detail::reserve(rows.chain, std::size_t(rows.count) * level.width);
    detail::reserve(center.matrix, std::size_t(level.registers) * stride * stride * LANES);
    detail::reserve(center.tagged, std::size_t(level.registers) * tags * stride * LANES);
    detail::reserve(center.turned, std::size_t(level.registers) * tags * stride * LANES);
    detail::reserve(center.radial_of_pairs, std::size_t(tags) * n_l * level.width);
    if (tags < 2) return;
    for (int k = 0; k < level.registers; ++k) {
      const Vec *d = detail::vectors(center.mixed[2]) + (level.registers + k) * stride;
      Vec *matrix = detail::vectors(center.matrix) + k * stride * stride;
      Vec *a = detail::vectors(center.tagged) + k * tags * stride;
      Vec *u = detail::vectors(center.turned) + k * tags * stride;
      std::fill_n(matrix, stride * stride, Vec{});
      for (std::size_t p = 0; p < level.paths.size(); ++p) {
        const detail::Path &path = level.paths[p];
        if (k < path.begin || k >= path.end) continue;
        const Vec weight = detail::vectors(level.weights)[p * level.registers + k];
        for (int i = path.first; i < path.last; ++i) {
          const detail::Product &product = level.products[i];
          const Vec of_product = weight * d[product.z];
          for (int t = product.first; t < product.last; ++t) {
            matrix[level.terms[t].x * stride + product.y] += level.terms[t].factor * of_product;
          }
        }
      }
      for (int j = 0; j < tags; ++j) {
        const double *y = &center.harmonics[std::size_t(j) * padded_];
        Vec mixed[9], *aj = a + j * stride, *uj = u + j * stride;
        mixed_radial<N_L>(level, center, j, k, mixed);
        Vec *kept = detail::vectors(center.radial_of_pairs) + j * n_l * level.registers + k;
        for (int l = 0; l < n_l; ++l) kept[l * level.registers] = mixed[l];
        for (int lm = 0; lm < size; ++lm) aj[lm] = mixed[detail::ORDERS[lm]] * y[lm];
        aj[size] = Vec{} + 1.0;
        for (int x = 0; x < stride; ++x) {
          Vec even{}, odd{};
          int z = 0;
#pragma GCC unroll 8
          for (; z + 1 < stride; z += 2) {
            even += matrix[x * stride + z] * aj[z];
            odd += matrix[x * stride + z + 1] * aj[z + 1];
          }
          if (z < stride) even += matrix[x * stride + z] * aj[z];
          uj[x] = even + odd;
        }
      }
      const Vec odd = detail::vectors(level.odd)[k];
      int row = center.first_row[2];
      for (int i = 0; i < tags; ++i) {
        for (int j = i + 1; j < tags; ++j, ++row) {
          Vec h{};
#pragma GCC unroll 17
          for (int x = 0; x < stride; ++x) h += a[i * stride + x] * u[j * stride + x];
          detail::vectors(rows.values)[row * level.registers + k] = h + odd * (h * h - h);
          detail::vectors(rows.chain)[row * level.registers + k] = 1.0 + odd * (2.0 * h - 1.0);
        }
      }
    }
    int row = center.first_row[2];
    for (int i = 0; i < tags; ++i) {
      for (int j = i + 1; j < tags; ++j, ++row) {
        const int one = std::min(center.neighbors[i].species, center.neighbors[j].species);
        const int two = std::max(center.neighbors[i].species, center.neighbors[j].species);
        rows.choice[row] = one * n_species_ - one * (one - 1) / 2 + two - one;
      }
    }
  }

  // cosines

  /// Σ_d c_d cos(Ω_d·h + b_d) of all rows, and derivatives in h.
  void cosines(const Level &level, int species, RowTable &rows, bool derivatives,
               Workspace &workspace) const {
    detail::reserve(rows.cosines, rows.count);
    detail::reserve(rows.bar, std::size_t(rows.count) * level.width);
    if (!level.features) {
      std::fill_n(rows.cosines.begin(), rows.count, 0.0);
      std::fill_n(rows.bar.begin(), std::size_t(rows.count) * level.width, 0.0);
      return;
    }
    if (single_) {
      lanes_of_cosines(level, level.single, species, rows, derivatives, workspace.single_lanes_);
    } else {
      lanes_of_cosines(level, level.cosines, species, rows, derivatives, workspace.lanes_);
    }
  }

  /// The same with rows in lanes: in groups of registers, each with all its channels one after
  /// another.
  template <class Real>
  static void lanes_of_cosines(const Level &level, const detail::Cosines<Real> &table, int species,
                               RowTable &rows, bool derivatives, detail::Lanes<Real> &lanes) {
    constexpr int ONE = ATOMPLETE_BYTES / sizeof(Real), GROUP = detail::AT_ONCE * ONE;
    const int all = level.channels + level.choices;
    const int groups = (rows.count + GROUP - 1) / GROUP;
    lanes.values.assign(std::size_t(groups) * all * GROUP, Real(0));
    lanes.bars.assign(std::size_t(groups) * level.channels * GROUP, Real(0));
    detail::reserve(rows.cosines, std::size_t(groups) * GROUP);
    std::fill_n(rows.cosines.begin(), groups * GROUP, 0.0);
    const auto width = [&](int group) { return rows.count - group * GROUP > ONE ? GROUP : ONE; };
    for (int row = 0; row < rows.count; ++row) {
      const int group = row / GROUP, lane = row % GROUP, wide = width(group);
      Real *to = lanes.values.data() + std::size_t(group) * all * GROUP + lane;
      const double *h = rows.values.data() + std::size_t(row) * level.width;
      for (int c = 0; c < level.channels; ++c) to[c * wide] = Real(h[c]);
      to[(level.channels + rows.choice[row]) * wide] = Real(1);
    }
    // a tile of frequencies stays in the cache for all groups
    for (int tile = 0; tile < level.tiles; ++tile) {
      const Real *frequencies = table.frequencies.data() + std::size_t(tile) * all * TILE;
      const Real *factors = table.coefficients.data() + std::size_t(species * level.tiles + tile) * TILE;
      for (int group = 0; group < groups; ++group) {
        const auto some = width(group) == ONE ? &Potential::some_cosines<Real, 1>
                                              : &Potential::some_cosines<Real, detail::AT_ONCE>;
        some(level, frequencies, factors,
             detail::vectors(lanes.values) + std::size_t(group) * all * detail::AT_ONCE,
             detail::vectors(lanes.bars) +
                 std::size_t(group) * level.channels * detail::AT_ONCE,
             rows.cosines.data() + group * GROUP, derivatives);
      }
    }
    for (int row = 0; row < rows.count; ++row) {
      const int group = row / GROUP, lane = row % GROUP, wide = width(group);
      const Real *from = lanes.bars.data() + std::size_t(group) * level.channels * GROUP + lane;
      double *bar = rows.bar.data() + std::size_t(row) * level.width;
      for (int c = 0; c < level.channels; ++c) bar[c] = from[c * wide];
      std::fill(bar + level.channels, bar + level.width, 0.0);
    }
  }

  /// The same of one tile and of the rows in the lanes of R registers.
  template <class Real, int R>
  static void some_cosines(const Level &level, const Real *frequencies, const Real *factors,
                           const typename detail::Register<Real>::type *x,
                           typename detail::Register<Real>::type *bar, double *totals,
                           bool derivatives) {
    using Lane = typename detail::Register<Real>::type;
    Lane found[TILE][R] = {};
    const int all = level.channels + level.choices;
    for (int c = 0; c < all; ++c) {
      Lane h[R];
      for (int q = 0; q < R; ++q) h[q] = x[c * R + q];
#pragma GCC unroll 16
      for (int d = 0; d < TILE; ++d) {
#pragma GCC unroll 4
        for (int q = 0; q < R; ++q) found[d][q] += frequencies[c * TILE + d] * h[q];
      }
    }
    Lane total[R] = {};
#pragma GCC unroll 16
    for (int d = 0; d < TILE; ++d) {
#pragma GCC unroll 4
      for (int q = 0; q < R; ++q) {
        Lane sine, cosine;
        detail::sine_and_cosine(found[d][q], sine, cosine);
        total[q] += factors[d] * cosine;
        found[d][q] = -factors[d] * sine;
      }
    }
    constexpr int ONE = ATOMPLETE_BYTES / sizeof(Real);
    for (int q = 0; q < R; ++q) {
      for (int lane = 0; lane < ONE; ++lane) totals[q * ONE + lane] += total[q][lane];
    }
    if (!derivatives) return;
    for (int c = 0; c < level.channels; ++c) {
      Lane one[R], two[R];
      for (int q = 0; q < R; ++q) one[q] = bar[c * R + q], two[q] = Lane{};
#pragma GCC unroll 16
      for (int d = 0; d < TILE; d += 2) {
#pragma GCC unroll 4
        for (int q = 0; q < R; ++q) {
          one[q] += frequencies[c * TILE + d] * found[d][q];
          two[q] += frequencies[c * TILE + d + 1] * found[d + 1][q];
        }
      }
      for (int q = 0; q < R; ++q) bar[c * R + q] = one[q] + two[q];
    }
  }

  // backward

  /// Energy of a centre from its rows, and derivatives in all vectors.
  template <int N_L>
  void backward(Center &center, Workspace &workspace) const {
    Environment &environment = *center.environment;
    environment.energy = reference_[environment.species];
    for (int tagged = 0; tagged < 3; ++tagged) finish(tagged, center, workspace);
    const bool derivatives = environment.gradient != nullptr;
    if (derivatives) {
      std::fill_n(environment.gradient, std::size_t(environment.n) * 3, 0.0);
      const std::size_t per_tag = std::size_t(center.n_tags) * LANES;
      workspace.density_bar_.assign(std::size_t(n_species_) * n_radial_ * size_ * LANES, 0.0);
      workspace.radial_bar_.assign(per_tag * n_radial_, 0.0);
      workspace.harmonics_bar_.assign(per_tag * size_, 0.0);
      std::size_t largest = 0;
      for (const Level &level : levels_) largest = std::max<std::size_t>(largest, level.width);
      detail::reserve(workspace.mixed_bar_, 3 * largest * (size_ + 1));
      detail::reserve(workspace.contracted_bar_, largest * (size_ + 1));
      detail::reserve(workspace.mixtures_bar_, largest * n_l_);
      rows_without_tags_back<N_L>(center, workspace);
      if (center.n_tags > 0) rows_of_one_back<N_L>(center, workspace);
      if (center.n_tags > 1) rows_of_two_back<N_L>(center, workspace);
      expand_back(center, workspace);
    }
    repel(center);
  }

  /// Weights of rows: their energies are added, and derivatives in channels take all factors.
  void finish(int tagged, Center &center, Workspace &workspace) const {
    const Level &level = levels_[tagged];
    RowTable &rows = workspace.rows_[tagged];
    Environment &environment = *center.environment;
    const Vec *linear = detail::vectors(level.linear) + environment.species * level.registers;
    int row = center.first_row[tagged];
    const auto take = [&](double weight) {
      const Vec *h = detail::vectors(rows.values) + std::size_t(row) * level.registers;
      Vec *bar = detail::vectors(rows.bar) + std::size_t(row) * level.registers;
      Vec found{};
      for (int k = 0; k < level.registers; ++k) {
        found += linear[k] * h[k];
        bar[k] = weight * (bar[k] + linear[k]);
        if (tagged == 2) bar[k] *= detail::vectors(rows.chain)[std::size_t(row) * level.registers + k];
      }
      const double value = rows.cosines[row] + detail::sum(found);
      environment.energy += weight * value;
      ++row;
      return value;
    };
    if (tagged == 0) take(1.0);
    for (int i = 0; tagged > 0 && i < center.n_tags; ++i) {
      detail::Neighbor &one = center.neighbors[i];
      if (tagged == 1) one.weight_bar = take(one.weight);
      for (int j = i + 1; tagged == 2 && j < center.n_tags; ++j) {
        detail::Neighbor &two = center.neighbors[j];
        const double value = take(one.weight * two.weight);
        one.weight_bar += value * two.weight;
        two.weight_bar += value * one.weight;
      }
    }
  }

  /// Derivatives in the densities of species from those in the densities of all channels.
  template <int N_L>
  void mix_back(const Level &level, int tagged, const Center &center, Workspace &workspace) const {
    constexpr int RUN = 4;  // registers of channels whose derivatives stay in the cache
    const int size = N_L ? N_L * N_L : size_, stride = size + 1;
    for (int factor = tagged == 0 ? 0 : 1; factor < level.factors; ++factor) {
      for (int first = 0; first < level.registers; first += RUN) {
        const int last = std::min(first + RUN, level.registers);
        for (int s = 0; s < n_species_; ++s) {
          if (!center.present[s]) continue;
          for (int n = 0; n < n_radial_; ++n) {
            Vec *out = detail::vectors(workspace.density_bar_) +
                       std::size_t(s * n_radial_ + n) * size;
            Vec found[MOST<N_L>];
#pragma GCC unroll 16
            for (int lm = 0; lm < size; ++lm) found[lm] = out[lm];
            for (int k = first; k < last; ++k) {
              const Vec *w = level.mixing(s, n, factor) + k;
              const Vec *bar = detail::vectors(workspace.mixed_bar_) +
                               (factor * level.registers + k) * stride;
#pragma GCC unroll 16
              for (int lm = 0; lm < size; ++lm) {
                found[lm] += w[detail::ORDERS[lm] * level.registers] * bar[lm];
              }
            }
#pragma GCC unroll 16
            for (int lm = 0; lm < size; ++lm) out[lm] = found[lm];
          }
        }
      }
    }
  }

  template <int N_L>
  void rows_without_tags_back(const Center &center, Workspace &workspace) const {
    const Level &level = levels_[0];
    const int stride = size_ + 1;
    for (int k = 0; k < level.registers; ++k) {
      const Vec *a = detail::vectors(center.mixed[0]) + k * stride;
      const Vec *v = detail::vectors(center.contracted[0]) + k * stride;
      Vec *a_bar = detail::vectors(workspace.mixed_bar_) + k * stride;
      Vec *v_bar = detail::vectors(workspace.contracted_bar_) + k * stride;
      const Vec h_bar =
          detail::vectors(workspace.rows_[0].bar)[center.first_row[0] * level.registers + k];
      for (int x = 0; x <= size_; ++x) a_bar[x] = h_bar * v[x], v_bar[x] = h_bar * a[x];
    }
    contract_all_back(0, center, workspace);
    mix_back<N_L>(level, 0, center, workspace);
  }

  template <int N_L>
  void rows_of_one_back(const Center &center, Workspace &workspace) const {
    const Level &level = levels_[1];
    const int n_l = N_L ? N_L : n_l_, size = n_l * n_l, stride = size + 1;
    std::fill_n(detail::vectors(workspace.contracted_bar_), level.registers * stride, Vec{});
    Vec *u_bar = detail::vectors(workspace.mixtures_bar_);
    for (int j = 0; j < center.n_tags; ++j) {
      const double *y = &center.harmonics[std::size_t(j) * padded_];
      const Vec *u = detail::vectors(center.radial_of_tags) + j * n_l * level.registers;
      const Vec *t = detail::vectors(center.angular_of_tags) + j * n_l * level.registers;
      const Vec *h_bar = detail::vectors(workspace.rows_[1].bar) +
                         std::size_t(center.first_row[1] + j) * level.registers;
      Vec *y_bar = detail::vectors(workspace.harmonics_bar_) + j * size;
      Vec found[MOST<N_L>];
#pragma GCC unroll 16
      for (int lm = 0; lm < size; ++lm) found[lm] = y_bar[lm];
      for (int k = 0; k < level.registers; ++k) {
        const Vec *v = detail::vectors(center.contracted[1]) + k * stride;
        Vec *v_bar = detail::vectors(workspace.contracted_bar_) + k * stride;
        Vec t_bar[N_L ? N_L : 9];
#pragma GCC unroll 4
        for (int l = 0; l < n_l; ++l) {
          t_bar[l] = h_bar[k] * u[l * level.registers + k];
          u_bar[l * level.registers + k] = h_bar[k] * t[l * level.registers + k];
        }
#pragma GCC unroll 16
        for (int lm = 0; lm < size; ++lm) {
          v_bar[lm] += t_bar[detail::ORDERS[lm]] * y[lm];
          found[lm] += t_bar[detail::ORDERS[lm]] * v[lm];
        }
        v_bar[size] += h_bar[k];
      }
#pragma GCC unroll 16
      for (int lm = 0; lm < size; ++lm) y_bar[lm] = found[lm];
      radial_back(level, center, j, u_bar, workspace);
    }
    contract_all_back(1, center, workspace);
    mix_back<N_L>(level, 1, center, workspace);
  }

  /// Derivatives in the radial functions of a tagged neighbour from those in their mixtures.
  void radial_back(const Level &level, const Center &center, int j, const Vec *bar,
                   Workspace &workspace) const {
    const int species = center.neighbors[j].species;
    Vec *out = detail::vectors(workspace.radial_bar_) + j * n_radial_;
    int n = 0;
    for (; n + 4 <= n_radial_; n += 4) some_radial_back<4>(level, species, n, bar, out);
    for (; n < n_radial_; ++n) some_radial_back<1>(level, species, n, bar, out);
  }

  /// The same of N of them.
  template <int N>
  void some_radial_back(const Level &level, int species, int n, const Vec *bar, Vec *out) const {
    const int length = n_l_ * level.registers, step = level.factors * length;
    const Vec *w = level.mixing(species, n, 0);
    Vec even[N] = {}, odd[N] = {};
    int i = 0;
    for (; i + 1 < length; i += 2) {
#pragma GCC unroll 4
      for (int q = 0; q < N; ++q) {
        even[q] += w[q * step + i] * bar[i];
        odd[q] += w[q * step + i + 1] * bar[i + 1];
      }
    }
    for (int q = 0; i < length && q < N; ++q) even[q] += w[q * step + i] * bar[i];
    for (int q = 0; q < N; ++q) out[n + q] += even[q] + odd[q];
  }

  template <int N_L>
  void rows_of_two_back(const Center &center, Workspace &workspace) const {
    const Level &level = levels_[2];
    const int n_l = N_L ? N_L : n_l_, size = n_l * n_l, stride = size + 1, tags = center.n_tags;
    detail::reserve(workspace.tagged_bar_, std::size_t(tags) * stride * LANES);
    detail::reserve(workspace.turned_bar_, std::size_t(tags) * stride * LANES);
    detail::reserve(workspace.matrix_bar_, std::size_t(stride) * stride * LANES);
    detail::reserve(workspace.mixtures_of_pairs_bar_, std::size_t(tags) * n_l * level.width);
    Vec *a_bar = detail::vectors(workspace.tagged_bar_);
    Vec *u_bar = detail::vectors(workspace.turned_bar_);
    Vec *matrix_bar = detail::vectors(workspace.matrix_bar_);
    Vec *mixtures_bar = detail::vectors(workspace.mixtures_of_pairs_bar_);
    for (int k = 0; k < level.registers; ++k) {
      const Vec *matrix = detail::vectors(center.matrix) + k * stride * stride;
      const Vec *a = detail::vectors(center.tagged) + k * tags * stride;
      const Vec *u = detail::vectors(center.turned) + k * tags * stride;
      std::fill_n(u_bar, tags * stride, Vec{});
      std::fill_n(matrix_bar, stride * stride, Vec{});
      const Vec *h_bar =
          detail::vectors(workspace.rows_[2].bar) + center.first_row[2] * level.registers + k;
      for (int i = 0; i < tags; ++i) {
        Vec found[MOST<N_L> + 1] = {};
        for (int j = i + 1; j < tags; ++j, h_bar += level.registers) {
          const Vec bar = *h_bar;
#pragma GCC unroll 17
          for (int x = 0; x < stride; ++x) {
            found[x] += bar * u[j * stride + x];
            u_bar[j * stride + x] += bar * a[i * stride + x];
          }
        }
#pragma GCC unroll 17
        for (int x = 0; x < stride; ++x) a_bar[i * stride + x] = found[x];
      }
      for (int j = 0; j < tags; ++j) {
        Vec found[MOST<N_L> + 1];
#pragma GCC unroll 17
        for (int x = 0; x < stride; ++x) found[x] = a_bar[j * stride + x];
        for (int x = 0; x < stride; ++x) {
          const Vec bar = u_bar[j * stride + x];
#pragma GCC unroll 17
          for (int y = 0; y < stride; ++y) {
            matrix_bar[x * stride + y] += bar * a[j * stride + y];
            found[y] += bar * matrix[x * stride + y];
          }
        }
        const double *y = &center.harmonics[std::size_t(j) * padded_];
        const Vec *mixed =
            detail::vectors(center.radial_of_pairs) + j * n_l * level.registers + k;
        Vec *y_bar = detail::vectors(workspace.harmonics_bar_) + j * size;
        Vec of_mixtures[N_L ? N_L : 9] = {};
#pragma GCC unroll 16
        for (int lm = 0; lm < size; ++lm) {
          of_mixtures[detail::ORDERS[lm]] += found[lm] * y[lm];
          y_bar[lm] += found[lm] * mixed[detail::ORDERS[lm] * level.registers];
        }
        for (int l = 0; l < n_l; ++l) {
          mixtures_bar[(j * n_l + l) * level.registers + k] = of_mixtures[l];
        }
      }
      Vec *d_bar = detail::vectors(workspace.mixed_bar_) + (level.registers + k) * stride;
      std::fill_n(d_bar, stride, Vec{});
      for (std::size_t p = 0; p < level.paths.size(); ++p) {
        const detail::Path &path = level.paths[p];
        if (k < path.begin || k >= path.end) continue;
        const Vec weight = detail::vectors(level.weights)[p * level.registers + k];
        for (int i = path.first; i < path.last; ++i) {
          const detail::Product &product = level.products[i];
          Vec found{};
          for (int t = product.first; t < product.last; ++t) {
            found += level.terms[t].factor * matrix_bar[level.terms[t].x * stride + product.y];
          }
          d_bar[product.z] += weight * found;
        }
      }
    }
    for (int j = 0; j < tags; ++j) {
      radial_back(level, center, j, mixtures_bar + j * n_l * level.registers, workspace);
    }
    mix_back<N_L>(level, 2, center, workspace);
  }

  /// Derivatives in the vectors, from those in radial functions, harmonics and densities.
  void expand_back(const Center &center, Workspace &workspace) const {
    Array &density = workspace.density_sums_;
    density.assign(center.density.size(), 0.0);
    for (int s = 0; s < n_species_; ++s) {
      if (!center.present[s]) continue;
      for (int n = s * n_radial_; n < (s + 1) * n_radial_; ++n) {
        for (int lm = 0; lm < size_; ++lm) {
          density[n * padded_ + lm] =
              detail::sum(detail::vectors(workspace.density_bar_)[n * size_ + lm]);
        }
      }
    }
    const int registers = padded_ / LANES;
    Array &harmonics_bar = workspace.harmonics_sums_;
    harmonics_bar.assign(padded_, 0.0);
    double values[81], slopes[3 * 81];
    for (int j = 0; j < int(center.neighbors.size()); ++j) {
      const detail::Neighbor &neighbor = center.neighbors[j];
      const bool tagged = j < center.n_tags;
      double along = 0.0;
      std::fill(harmonics_bar.begin(), harmonics_bar.end(), 0.0);
      if (tagged) {
        along = neighbor.weight_bar * neighbor.weight_slope;
        for (int lm = 0; lm < size_; ++lm) {
          harmonics_bar[lm] = detail::sum(detail::vectors(workspace.harmonics_bar_)[j * size_ + lm]);
        }
      }
      const Vec *y = detail::vectors(center.harmonics) + j * registers;
      const Vec *rho = detail::vectors(density) + neighbor.species * n_radial_ * registers;
      const double *of_r = &center.radial[std::size_t(j) * n_radial_];
      const double *steep = &center.steep[std::size_t(j) * n_radial_];
      Vec *y_bar = detail::vectors(harmonics_bar), of_densities{};
      for (int n = 0; n < n_radial_; ++n, rho += registers) {
        for (int i = 0; i < registers; ++i) {
          of_densities += steep[n] * rho[i] * y[i];
          y_bar[i] += of_r[n] * rho[i];
        }
        if (tagged) {
          along += steep[n] * detail::sum(detail::vectors(workspace.radial_bar_)[j * n_radial_ + n]);
        }
      }
      along += detail::sum(of_densities);
      harmonics(neighbor.unit, values, slopes);
      double across[3] = {}, of_length = 0.0;
      for (int lm = 1; lm < size_; ++lm) {
        for (int axis = 0; axis < 3; ++axis) across[axis] += harmonics_bar[lm] * slopes[3 * lm + axis];
        of_length += detail::ORDERS[lm] * harmonics_bar[lm] * values[lm];  // of r^l
      }
      along -= of_length / neighbor.r;
      double *gradient = center.environment->gradient + 3 * neighbor.place;
      for (int axis = 0; axis < 3; ++axis) {
        gradient[axis] += along * neighbor.unit[axis] + across[axis] / neighbor.r;
      }
    }
  }

  /// Half of the repulsion of Ziegler, Biersack and Littmark of each pair within its reach.
  void repel(Center &center) const {
    Environment &environment = *center.environment;
    for (const detail::Neighbor &neighbor : center.neighbors) {
      const int pair = environment.species * n_species_ + neighbor.species;
      if (!(neighbor.r < reach_[pair])) continue;
      double screening = 0.0, falling = 0.0;
      for (int i = 0; i < 4; ++i) {
        const double decay = screening_[2 * i + 1] / lengths_[pair];
        const double part = screening_[2 * i] * std::exp(-decay * neighbor.r);
        screening += part;
        falling -= decay * part;
      }
      // from half the reach on it is switched off
      double slope;
      const double x = std::max(2.0 * neighbor.r / reach_[pair] - 1.0, 0.0);
      const double f = detail::smooth_step(x, 1.0, slope);
      slope *= x > 0.0 ? 2.0 / reach_[pair] : 0.0;
      const double bare = 0.5 * charges_[pair] / neighbor.r;
      environment.energy += bare * screening * f;
      if (!environment.gradient) continue;
      const double along =
          bare * (screening * slope + falling * f - screening * f / neighbor.r);
      for (int axis = 0; axis < 3; ++axis) {
        environment.gradient[3 * neighbor.place + axis] += along * neighbor.unit[axis];
      }
    }
  }
};

}  // namespace atomplete
