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

// Keeps the compiler from simplifying (x + y) - y, which -ffast-math allows.
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
using Array = std::vector<double, Aligned<double>>;

inline Vec *vectors(Array &a) { return reinterpret_cast<Vec *>(a.data()); }
inline const Vec *vectors(const Array &a) { return reinterpret_cast<const Vec *>(a.data()); }

/// At least so many numbers, without a new allocation where there is room.
inline void reserve(Array &a, std::size_t n) {
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
  const Vec k = shifted - magic;
  Vec y = x - k * 1.57079632673412561417e+00;
  y = y - k * 6.07710050630396597660e-11;
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
  Tables(const char *data, std::size_t size, const std::string &name) : name_(name), data_(data) {
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
  const char *data_, *begin_ = nullptr;
  struct Holder {  // a pointer that owns, without <memory>
    Json *json = nullptr;
    ~Holder() { delete json; }
    void reset(Json *other) { delete json; json = other; }
    Json *operator->() const { return json; }
  } json_;
};

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

/// What is known of the rows with the same number of tagged neighbours.
struct Level {
  int channels, registers, width, features, tiles, factors, n_l, n_radial, choices;
  Array radial;       // species, n, factor, l, channel
  Array weights;      // path, channel
  Array odd;          // channel, 1 where it is squared
  Array linear;       // species, channel
  Array frequencies;  // tile, channel and then choice of species, feature in the tile
  Array cosines;      // species, feature
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
  std::vector<double> radial, steep, harmonics, density;
  Array mixed[3];                         // factor, register, lm with its constant
  Array contracted[2];                    // register, lm with its constant
  Array radial_of_tags, angular_of_tags;  // tag, l, register, of level 1
  Array tagged, turned, matrix;           // of level 2
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
  detail::Array lanes_, lanes_bar_, mixed_bar_, density_bar_, radial_bar_, harmonics_bar_;
  detail::Array tagged_bar_, turned_bar_, matrix_bar_;
  std::vector<double> density_sums_, radial_sums_, harmonics_sums_;
};

/// A potential read from a file that `atomplete export --to lammps` wrote.
class Potential {
 public:
  /// Throws std::runtime_error with one sentence that names the file.
  explicit Potential(const std::string &file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) throw std::runtime_error(file + ": no such file, or it cannot be read");
    const std::string content((std::istreambuf_iterator<char>(stream)),
                              std::istreambuf_iterator<char>());
    read(content.data(), content.size(), file);
  }
  /// The same of the bytes of such a file.
  Potential(const char *data, std::size_t size, const std::string &name) { read(data, size, name); }

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
    for (int begin = 0; begin < count;) {
      for (auto &table : workspace.rows_) table.count = 0;
      int end = begin;
      while (end < count && list[end].species == list[begin].species &&
             workspace.rows_[1].count < ROWS && end - begin < ROWS) {
        const std::size_t index = end - begin;
        if (workspace.centers_.size() <= index) workspace.centers_.emplace_back();
        forward(list[end], workspace.centers_[index], workspace);
        ++end;
      }
      const bool derivatives = list[begin].gradient != nullptr;
      for (int tagged = 0; tagged < 3; ++tagged) {
        cosines(levels_[tagged], list[begin].species, workspace.rows_[tagged], derivatives,
                workspace);
      }
      for (int k = begin; k < end; ++k) backward(workspace.centers_[k - begin], workspace);
      begin = end;
    }
  }

 private:
  using Level = detail::Level;
  using Vec = detail::Vec;
  using Array = detail::Array;
  using Center = detail::Center;
  using RowTable = detail::RowTable;
  static constexpr int LANES = detail::LANES, TILE = detail::TILE;
  /// Rows of tagged neighbours that are collected before they go through the frequencies.
  static constexpr int ROWS = 4 * detail::AT_ONCE * detail::LANES;

  double cutoff_ = 0.0, tag_cutoff_ = 0.0, decay_length_ = 0.0;
  int n_species_ = 0, n_radial_ = 0, n_l_ = 0, size_ = 0;  // size: components (l, m)
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
    level.cosines.assign(std::size_t(s) * level.tiles * TILE, 0.0);
    level.frequencies.assign(std::size_t(level.tiles) * rows * TILE, 0.0);
    for (int d = 0; d < features; ++d) {
      for (int k = 0; k < s; ++k) level.cosines[k * level.tiles * TILE + d] = cosines[k * features + d];
      double *column = &level.frequencies[std::size_t(d / TILE) * rows * TILE + d % TILE];
      for (int c = 0; c < channels; ++c) column[c * TILE] = frequencies[std::size_t(c) * features + d];
      for (int k = 0; k < level.choices; ++k) {
        column[(channels + k) * TILE] = phases[std::size_t(k) * features + d];
      }
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

  /// sin(π n x) f_c(r) of all n by recurrence, and derivatives in r.
  void radial(double r, double *values, double *slopes) const {
    const double reach = -std::expm1(-cutoff_ / decay_length_);
    const double x = -std::expm1(-r / decay_length_) / reach;
    const double dx = std::exp(-r / decay_length_) / (decay_length_ * reach);
    double fall;
    const double f = detail::smooth_step(r, cutoff_, fall);
    const double s1 = std::sin(M_PI * x), c1 = std::cos(M_PI * x);
    double s = s1, c = c1;
    for (int n = 1; n <= n_radial_; ++n) {
      values[n - 1] = s * f;
      slopes[n - 1] = s * fall + M_PI * n * c * dx * f;
      const double next = s * c1 + c * s1;
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

  void forward(Environment &environment, Center &center, Workspace &workspace) const {
    center.environment = &environment;
    expand(environment, center);
    for (int tagged = 0; tagged < 3; ++tagged) {
      const Level &level = levels_[tagged];
      mix(level, tagged, center);
      const int tags = center.n_tags;
      const int n_rows = tagged == 0 ? 1 : tagged == 1 ? tags : tags * (tags - 1) / 2;
      RowTable &rows = workspace.rows_[tagged];
      center.first_row[tagged] = rows.count;
      center.n_rows[tagged] = n_rows;
      rows.count += n_rows;
      detail::reserve(rows.values, std::size_t(rows.count) * level.width);
      if (int(rows.choice.size()) < rows.count) rows.choice.resize(rows.count);
      if (tagged == 0) rows_without_tags(center, rows);
      if (tagged == 1) rows_of_one(center, rows);
      if (tagged == 2) rows_of_two(center, rows);
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
    const std::size_t n = center.neighbors.size();
    center.radial.resize(n * n_radial_);
    center.steep.resize(n * n_radial_);
    center.harmonics.resize(n * size_);
    center.density.assign(std::size_t(n_species_) * n_radial_ * size_, 0.0);
    for (std::size_t j = 0; j < n; ++j) {
      const detail::Neighbor &neighbor = center.neighbors[j];
      double *values = &center.radial[j * n_radial_], *y = &center.harmonics[j * size_];
      radial(neighbor.r, values, &center.steep[j * n_radial_]);
      harmonics(neighbor.unit, y, nullptr);
      double *rho = &center.density[std::size_t(neighbor.species) * n_radial_ * size_];
      for (int k = 0; k < n_radial_; ++k) {
        for (int lm = 0; lm < size_; ++lm) rho[k * size_ + lm] += values[k] * y[lm];
      }
    }
  }

  /// Densities of all channels of a level, for the factors that no tagged neighbour takes.
  void mix(const Level &level, int tagged, Center &center) const {
    const int stride = size_ + 1, first = tagged == 0 ? 0 : 1;
    Array &mixed = center.mixed[tagged];
    detail::reserve(mixed, std::size_t(level.factors) * level.registers * stride * LANES);
    for (int factor = first; factor < level.factors; ++factor) {
      for (int k = 0; k < level.registers; ++k) {
        Vec *out = detail::vectors(mixed) + (factor * level.registers + k) * stride;
        for (int lm = 0; lm < size_; ++lm) out[lm] = Vec{};
        out[size_] = Vec{} + 1.0;
        for (int s = 0; s < n_species_; ++s) {
          if (!center.present[s]) continue;
          for (int n = 0; n < n_radial_; ++n) {
            const Vec *w = level.mixing(s, n, factor) + k;
            const double *rho = &center.density[std::size_t(s * n_radial_ + n) * size_];
            for (int l = 0; l < n_l_; ++l) {
              const Vec of_l = w[l * level.registers];
              for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) out[lm] += of_l * rho[lm];
            }
          }
        }
      }
    }
  }

  /// v_x = Σ_yz F_xyz b_y d_z of one register of channels.
  void contract(const Level &level, int k, const Vec *b, const Vec *d, Vec *v) const {
    for (int x = 0; x <= size_; ++x) v[x] = Vec{};
    for (std::size_t p = 0; p < level.paths.size(); ++p) {
      const detail::Path &path = level.paths[p];
      if (k < path.begin || k >= path.end) continue;
      const Vec weight = detail::vectors(level.weights)[p * level.registers + k];
      for (int i = path.first; i < path.last; ++i) {
        const detail::Product &product = level.products[i];
        const Vec of_product = weight * b[product.y] * d[product.z];
        for (int t = product.first; t < product.last; ++t) {
          v[level.terms[t].x] += level.terms[t].factor * of_product;
        }
      }
    }
  }

  /// Derivatives in b and d from those in v.
  void contract_back(const Level &level, int k, const Vec *b, const Vec *d, const Vec *v_bar,
                     Vec *b_bar, Vec *d_bar) const {
    for (std::size_t p = 0; p < level.paths.size(); ++p) {
      const detail::Path &path = level.paths[p];
      if (k < path.begin || k >= path.end) continue;
      const Vec weight = detail::vectors(level.weights)[p * level.registers + k];
      for (int i = path.first; i < path.last; ++i) {
        const detail::Product &product = level.products[i];
        Vec found{};
        for (int t = product.first; t < product.last; ++t) {
          found += level.terms[t].factor * v_bar[level.terms[t].x];
        }
        found *= weight;
        b_bar[product.y] += found * d[product.z];
        d_bar[product.z] += found * b[product.y];
      }
    }
  }

  void rows_without_tags(Center &center, RowTable &rows) const {
    const Level &level = levels_[0];
    const int stride = size_ + 1, row = center.first_row[0];
    detail::reserve(center.contracted[0], std::size_t(level.registers) * stride * LANES);
    for (int k = 0; k < level.registers; ++k) {
      const Vec *a = detail::vectors(center.mixed[0]) + k * stride;
      const Vec *b = a + level.registers * stride, *d = b + level.registers * stride;
      Vec *v = detail::vectors(center.contracted[0]) + k * stride;
      contract(level, k, b, d, v);
      Vec h{};
      for (int x = 0; x <= size_; ++x) h += a[x] * v[x];
      detail::vectors(rows.values)[row * level.registers + k] = h;
    }
    rows.choice[row] = 0;
  }

  void rows_of_one(Center &center, RowTable &rows) const {
    const Level &level = levels_[1];
    const int stride = size_ + 1;
    detail::reserve(center.contracted[1], std::size_t(level.registers) * stride * LANES);
    detail::reserve(center.radial_of_tags, std::size_t(center.n_tags) * n_l_ * level.width);
    detail::reserve(center.angular_of_tags, std::size_t(center.n_tags) * n_l_ * level.width);
    if (!center.n_tags) return;
    for (int k = 0; k < level.registers; ++k) {
      const Vec *b = detail::vectors(center.mixed[1]) + (level.registers + k) * stride;
      contract(level, k, b, b + level.registers * stride,
               detail::vectors(center.contracted[1]) + k * stride);
    }
    for (int j = 0; j < center.n_tags; ++j) {
      const int species = center.neighbors[j].species, row = center.first_row[1] + j;
      const double *y = &center.harmonics[std::size_t(j) * size_];
      const double *values = &center.radial[std::size_t(j) * n_radial_];
      rows.choice[row] = species;
      Vec *u = detail::vectors(center.radial_of_tags) + j * n_l_ * level.registers;
      Vec *t = detail::vectors(center.angular_of_tags) + j * n_l_ * level.registers;
      for (int k = 0; k < level.registers; ++k) {
        const Vec *v = detail::vectors(center.contracted[1]) + k * stride;
        Vec h = v[size_];
        for (int l = 0; l < n_l_; ++l) {
          const int place = l * level.registers + k;
          Vec radial_part{}, angular_part{};
          for (int n = 0; n < n_radial_; ++n) {
            radial_part += level.mixing(species, n, 0)[place] * values[n];
          }
          for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) angular_part += v[lm] * y[lm];
          u[place] = radial_part;
          t[place] = angular_part;
          h += radial_part * angular_part;
        }
        detail::vectors(rows.values)[row * level.registers + k] = h;
      }
    }
  }

  void rows_of_two(Center &center, RowTable &rows) const {
    const Level &level = levels_[2];
    const int stride = size_ + 1, tags = center.n_tags;
    detail::reserve(rows.chain, std::size_t(rows.count) * level.width);
    detail::reserve(center.matrix, std::size_t(level.registers) * stride * stride * LANES);
    detail::reserve(center.tagged, std::size_t(level.registers) * tags * stride * LANES);
    detail::reserve(center.turned, std::size_t(level.registers) * tags * stride * LANES);
    if (tags < 2) return;
    for (int k = 0; k < level.registers; ++k) {
      const Vec *d = detail::vectors(center.mixed[2]) + (level.registers + k) * stride;
      Vec *matrix = detail::vectors(center.matrix) + k * stride * stride;
      Vec *a = detail::vectors(center.tagged) + k * tags * stride;
      Vec *u = detail::vectors(center.turned) + k * tags * stride;
      std::fill(matrix, matrix + stride * stride, Vec{});
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
        coefficients(level, center, j, k, a + j * stride);
        for (int x = 0; x <= size_; ++x) {
          Vec found{};
          for (int y = 0; y <= size_; ++y) found += matrix[x * stride + y] * a[j * stride + y];
          u[j * stride + x] = found;
        }
      }
      const Vec odd = detail::vectors(level.odd)[k];
      int row = center.first_row[2];
      for (int i = 0; i < tags; ++i) {
        for (int j = i + 1; j < tags; ++j, ++row) {
          Vec h{};
          for (int x = 0; x <= size_; ++x) h += a[i * stride + x] * u[j * stride + x];
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

  /// Coefficients of a tagged neighbour, with the constant at the end.
  void coefficients(const Level &level, const Center &center, int j, int k, Vec *a) const {
    const double *y = &center.harmonics[std::size_t(j) * size_];
    const double *values = &center.radial[std::size_t(j) * n_radial_];
    for (int l = 0; l < n_l_; ++l) {
      const int place = l * level.registers + k;
      Vec u{};
      for (int n = 0; n < n_radial_; ++n) {
        u += level.mixing(center.neighbors[j].species, n, 0)[place] * values[n];
      }
      for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) a[lm] = u * y[lm];
    }
    a[size_] = Vec{} + 1.0;
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
    for (int row = 0; row < rows.count;) {
      if (detail::AT_ONCE > 1 && rows.count - row > LANES) {
        some_cosines<detail::AT_ONCE>(level, species, rows, row, derivatives, workspace);
        row += detail::AT_ONCE * LANES;
      } else {
        some_cosines<1>(level, species, rows, row, derivatives, workspace);
        row += LANES;
      }
    }
  }

  /// The same of as many rows as there are lanes in R registers.
  template <int R>
  void some_cosines(const Level &level, int species, RowTable &rows, int first, bool derivatives,
                    Workspace &workspace) const {
    const int all = level.channels + level.choices, lanes = R * LANES;
    const int count = std::min(lanes, rows.count - first);
    detail::reserve(workspace.lanes_, std::size_t(all) * lanes);
    detail::reserve(workspace.lanes_bar_, std::size_t(level.channels) * lanes);
    double *turned = workspace.lanes_.data();
    std::fill_n(turned, std::size_t(all) * lanes, 0.0);
    for (int row = 0; row < count; ++row) {
      const double *h = rows.values.data() + std::size_t(first + row) * level.width;
      for (int c = 0; c < level.channels; ++c) turned[c * lanes + row] = h[c];
      turned[(level.channels + rows.choice[first + row]) * lanes + row] = 1.0;
    }
    const Vec *x = detail::vectors(workspace.lanes_);
    Vec *bar = detail::vectors(workspace.lanes_bar_);
    for (int i = 0; i < level.channels * R; ++i) bar[i] = Vec{};
    Vec total[R] = {};
    const double *frequencies = level.frequencies.data();
    const double *factors = level.cosines.data() + std::size_t(species) * level.tiles * TILE;
    for (int tile = 0; tile < level.tiles; ++tile, frequencies += all * TILE, factors += TILE) {
      Vec found[TILE][R] = {};
      for (int c = 0; c < all; ++c) {
        Vec h[R];
        for (int q = 0; q < R; ++q) h[q] = x[c * R + q];
#pragma GCC unroll 16
        for (int d = 0; d < TILE; ++d) {
#pragma GCC unroll 4
          for (int q = 0; q < R; ++q) found[d][q] += frequencies[c * TILE + d] * h[q];
        }
      }
#pragma GCC unroll 16
      for (int d = 0; d < TILE; ++d) {
#pragma GCC unroll 4
        for (int q = 0; q < R; ++q) {
          Vec sine, cosine;
          detail::sine_and_cosine(found[d][q], sine, cosine);
          total[q] += factors[d] * cosine;
          found[d][q] = -factors[d] * sine;
        }
      }
      if (!derivatives) continue;
      for (int c = 0; c < level.channels; ++c) {
        Vec one[R], two[R];
        for (int q = 0; q < R; ++q) one[q] = bar[c * R + q], two[q] = Vec{};
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
    const double *turned_bar = workspace.lanes_bar_.data();
    for (int row = 0; row < count; ++row) {
      double *h_bar = rows.bar.data() + std::size_t(first + row) * level.width;
      std::fill_n(h_bar, level.width, 0.0);
      for (int c = 0; c < level.channels; ++c) h_bar[c] = turned_bar[c * lanes + row];
      rows.cosines[first + row] = total[row / LANES][row % LANES];
    }
  }

  // backward

  /// Energy of a centre from its rows, and derivatives in all vectors.
  void backward(Center &center, Workspace &workspace) const {
    Environment &environment = *center.environment;
    environment.energy = reference_[environment.species];
    for (int tagged = 0; tagged < 3; ++tagged) finish(tagged, center, workspace);
    const bool derivatives = environment.gradient != nullptr;
    if (derivatives) {
      std::fill_n(environment.gradient, std::size_t(environment.n) * 3, 0.0);
      const std::size_t per_tag = std::size_t(center.n_tags) * LANES;
      workspace.density_bar_.assign(center.density.size() * LANES, 0.0);
      workspace.radial_bar_.assign(per_tag * n_radial_, 0.0);
      workspace.harmonics_bar_.assign(per_tag * size_, 0.0);
      rows_without_tags_back(center, workspace);
      if (center.n_tags > 0) rows_of_one_back(center, workspace);
      if (center.n_tags > 1) rows_of_two_back(center, workspace);
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

  /// Derivatives in the densities of species from those in the densities of one register.
  void mix_back(const Level &level, int factor, int k, const Center &center, const Vec *bar,
                Workspace &workspace) const {
    Vec *density_bar = detail::vectors(workspace.density_bar_);
    for (int s = 0; s < n_species_; ++s) {
      if (!center.present[s]) continue;
      for (int n = 0; n < n_radial_; ++n) {
        const Vec *w = level.mixing(s, n, factor) + k;
        Vec *out = density_bar + std::size_t(s * n_radial_ + n) * size_;
        for (int l = 0; l < n_l_; ++l) {
          const Vec of_l = w[l * level.registers];
          for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) out[lm] += of_l * bar[lm];
        }
      }
    }
  }

  void rows_without_tags_back(const Center &center, Workspace &workspace) const {
    const Level &level = levels_[0];
    const int stride = size_ + 1;
    detail::reserve(workspace.mixed_bar_, std::size_t(4) * stride * LANES);
    Vec *a_bar = detail::vectors(workspace.mixed_bar_), *b_bar = a_bar + stride;
    Vec *d_bar = b_bar + stride, *v_bar = d_bar + stride;
    for (int k = 0; k < level.registers; ++k) {
      const Vec *a = detail::vectors(center.mixed[0]) + k * stride;
      const Vec *b = a + level.registers * stride, *d = b + level.registers * stride;
      const Vec *v = detail::vectors(center.contracted[0]) + k * stride;
      const Vec h_bar =
          detail::vectors(workspace.rows_[0].bar)[center.first_row[0] * level.registers + k];
      std::fill(b_bar, v_bar, Vec{});
      for (int x = 0; x <= size_; ++x) a_bar[x] = h_bar * v[x], v_bar[x] = h_bar * a[x];
      contract_back(level, k, b, d, v_bar, b_bar, d_bar);
      mix_back(level, 0, k, center, a_bar, workspace);
      mix_back(level, 1, k, center, b_bar, workspace);
      mix_back(level, 2, k, center, d_bar, workspace);
    }
  }

  void rows_of_one_back(const Center &center, Workspace &workspace) const {
    const Level &level = levels_[1];
    const int stride = size_ + 1;
    detail::reserve(workspace.mixed_bar_, std::size_t(4) * stride * LANES);
    Vec *b_bar = detail::vectors(workspace.mixed_bar_), *d_bar = b_bar + stride;
    Vec *v_bar = d_bar + stride;
    for (int k = 0; k < level.registers; ++k) {
      const Vec *v = detail::vectors(center.contracted[1]) + k * stride;
      std::fill(b_bar, v_bar + stride, Vec{});
      for (int j = 0; j < center.n_tags; ++j) {
        const double *y = &center.harmonics[std::size_t(j) * size_];
        const Vec *u = detail::vectors(center.radial_of_tags) + j * n_l_ * level.registers;
        const Vec *t = detail::vectors(center.angular_of_tags) + j * n_l_ * level.registers;
        Vec *y_bar = detail::vectors(workspace.harmonics_bar_) + j * size_;
        const Vec h_bar = detail::vectors(
            workspace.rows_[1].bar)[(center.first_row[1] + j) * level.registers + k];
        v_bar[size_] += h_bar;
        for (int l = 0; l < n_l_; ++l) {
          const int place = l * level.registers + k;
          const Vec t_bar = h_bar * u[place];
          for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
            v_bar[lm] += t_bar * y[lm];
            y_bar[lm] += t_bar * v[lm];
          }
          radial_back(level, center, j, place, h_bar * t[place], workspace);
        }
      }
      const Vec *b = detail::vectors(center.mixed[1]) + (level.registers + k) * stride;
      contract_back(level, k, b, b + level.registers * stride, v_bar, b_bar, d_bar);
      mix_back(level, 1, k, center, b_bar, workspace);
      mix_back(level, 2, k, center, d_bar, workspace);
    }
  }

  /// Derivatives in the radial functions of a tagged neighbour from those in their mixture.
  void radial_back(const Level &level, const Center &center, int j, int place, const Vec &bar,
                   Workspace &workspace) const {
    Vec *radial_bar = detail::vectors(workspace.radial_bar_) + j * n_radial_;
    for (int n = 0; n < n_radial_; ++n) {
      radial_bar[n] += level.mixing(center.neighbors[j].species, n, 0)[place] * bar;
    }
  }

  void rows_of_two_back(const Center &center, Workspace &workspace) const {
    const Level &level = levels_[2];
    const int stride = size_ + 1, tags = center.n_tags;
    detail::reserve(workspace.mixed_bar_, std::size_t(4) * stride * LANES);
    Vec *d_bar = detail::vectors(workspace.mixed_bar_);
    for (int k = 0; k < level.registers; ++k) {
      const Vec *matrix = detail::vectors(center.matrix) + k * stride * stride;
      const Vec *a = detail::vectors(center.tagged) + k * tags * stride;
      const Vec *u = detail::vectors(center.turned) + k * tags * stride;
      workspace.tagged_bar_.assign(std::size_t(tags) * stride * LANES, 0.0);
      workspace.turned_bar_.assign(std::size_t(tags) * stride * LANES, 0.0);
      workspace.matrix_bar_.assign(std::size_t(stride) * stride * LANES, 0.0);
      Vec *a_bar = detail::vectors(workspace.tagged_bar_);
      Vec *u_bar = detail::vectors(workspace.turned_bar_);
      Vec *matrix_bar = detail::vectors(workspace.matrix_bar_);
      const Vec *h_bar =
          detail::vectors(workspace.rows_[2].bar) + center.first_row[2] * level.registers + k;
      for (int i = 0; i < tags; ++i) {
        for (int j = i + 1; j < tags; ++j, h_bar += level.registers) {
          const Vec bar = *h_bar;
          for (int x = 0; x <= size_; ++x) {
            a_bar[i * stride + x] += bar * u[j * stride + x];
            u_bar[j * stride + x] += bar * a[i * stride + x];
          }
        }
      }
      for (int j = 0; j < tags; ++j) {
        for (int x = 0; x <= size_; ++x) {
          const Vec bar = u_bar[j * stride + x];
          for (int y = 0; y <= size_; ++y) {
            matrix_bar[x * stride + y] += bar * a[j * stride + y];
            a_bar[j * stride + y] += bar * matrix[x * stride + y];
          }
        }
        const double *y = &center.harmonics[std::size_t(j) * size_];
        Vec *y_bar = detail::vectors(workspace.harmonics_bar_) + j * size_;
        for (int l = 0; l < n_l_; ++l) {
          const int place = l * level.registers + k;
          Vec u_l{}, u_l_bar{};
          for (int n = 0; n < n_radial_; ++n) {
            u_l += level.mixing(center.neighbors[j].species, n, 0)[place] *
                   center.radial[std::size_t(j) * n_radial_ + n];
          }
          for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
            u_l_bar += a_bar[j * stride + lm] * y[lm];
            y_bar[lm] += a_bar[j * stride + lm] * u_l;
          }
          radial_back(level, center, j, place, u_l_bar, workspace);
        }
      }
      std::fill(d_bar, d_bar + stride, Vec{});
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
      mix_back(level, 1, k, center, d_bar, workspace);
    }
  }

  /// Derivatives in the vectors, from those in radial functions, harmonics and densities.
  void expand_back(const Center &center, Workspace &workspace) const {
    auto &density = workspace.density_sums_;
    density.resize(center.density.size());
    for (int s = 0; s < n_species_; ++s) {
      if (!center.present[s]) continue;
      const int begin = s * n_radial_ * size_;
      for (int i = begin; i < begin + n_radial_ * size_; ++i) {
        density[i] = detail::sum(detail::vectors(workspace.density_bar_)[i]);
      }
    }
    auto &radial_bar = workspace.radial_sums_, &harmonics_bar = workspace.harmonics_sums_;
    radial_bar.resize(n_radial_);
    harmonics_bar.resize(size_);
    double values[81], slopes[3 * 81];
    for (int j = 0; j < int(center.neighbors.size()); ++j) {
      const detail::Neighbor &neighbor = center.neighbors[j];
      const double *y = &center.harmonics[std::size_t(j) * size_];
      const double *of_r = &center.radial[std::size_t(j) * n_radial_];
      const double *rho = &density[std::size_t(neighbor.species) * n_radial_ * size_];
      const bool tagged = j < center.n_tags;
      for (int lm = 0; lm < size_; ++lm) {
        harmonics_bar[lm] =
            tagged ? detail::sum(detail::vectors(workspace.harmonics_bar_)[j * size_ + lm]) : 0.0;
      }
      double along = tagged ? neighbor.weight_bar * neighbor.weight_slope : 0.0;
      for (int n = 0; n < n_radial_; ++n) {
        double found =
            tagged ? detail::sum(detail::vectors(workspace.radial_bar_)[j * n_radial_ + n]) : 0.0;
        for (int lm = 0; lm < size_; ++lm) {
          found += rho[n * size_ + lm] * y[lm];
          harmonics_bar[lm] += rho[n * size_ + lm] * of_r[n];
        }
        along += found * center.steep[std::size_t(j) * n_radial_ + n];
      }
      harmonics(neighbor.unit, values, slopes);
      double across[3] = {};
      for (int l = 1; l < n_l_; ++l) {
        for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
          for (int axis = 0; axis < 3; ++axis) across[axis] += harmonics_bar[lm] * slopes[3 * lm + axis];
          along -= l * harmonics_bar[lm] * values[lm] / neighbor.r;  // of r^l
        }
      }
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
