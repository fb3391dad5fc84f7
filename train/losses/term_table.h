// The one list of the loss's terms: what sums them, logs them and reports their course goes through it. Free of
// LibTorch, as loss_weights.h is. README.md in train says what else a new term needs.
#ifndef VITRINE_TRAIN_LOSSES_TERM_TABLE_H_
#define VITRINE_TRAIN_LOSSES_TERM_TABLE_H_

#include <iterator>

namespace vitrine {

/// Something of each term: its value, its weight, its number in the log.
template <class T>
struct PerTerm {
  T output{};     ///< D_out
  T feature{};    ///< L_feat
  T attention{};  ///< L_att
  T label{};      ///< CE
  T exits{};      ///< mean over the exits of adaptive_target
  T embedding{};  ///< of EmbeddingProjector
};

/// A term's key in metrics.jsonl and metrics.csv, and its member.
template <class T>
struct LossTerm {
  const char* key;
  T PerTerm<T>::*member;
};

/// In the order of the sum and of the log. "kl" is the output term in whatever form loss.output chooses.
template <class T>
inline constexpr LossTerm<T> kLossTerms[] = {
    {"kl", &PerTerm<T>::output},   {"feature", &PerTerm<T>::feature}, {"attention", &PerTerm<T>::attention},
    {"label", &PerTerm<T>::label}, {"exits", &PerTerm<T>::exits},     {"embedding", &PerTerm<T>::embedding}};
static_assert(sizeof(PerTerm<char>) == std::size(kLossTerms<char>), "kLossTerms has a row for each term");

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_TERM_TABLE_H_
