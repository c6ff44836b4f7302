#include "watch/label_opinion.hpp"

namespace heddle::watch {

bool same_label(const std::optional<stats::Label>& a, const std::optional<stats::Label>& b) {
  const auto* one = a ? std::get_if<double>(&*a) : nullptr;
  const auto* two = b ? std::get_if<double>(&*b) : nullptr;
  // Numbers are kept as floats: two that round to the same one are the same label.
  if (one == nullptr || two == nullptr) return a == b;
  return static_cast<float>(*one) == static_cast<float>(*two);
}

void save_opinion(StateWriter& out, const LabelOpinion& opinion, const Names& names) {
  out.put(static_cast<double>(opinion.label));
  out.put(opinion.time);
  out.put(static_cast<double>(opinion.other));
  if (opinion.has_label()) out.put(names.name(opinion.by));
  if (!opinion.has_other()) return;
  out.put(opinion.other_time);
  out.put(names.name(opinion.other_by));
}

LabelOpinion load_opinion(StateReader& in, Names& names) {
  LabelOpinion opinion;
  opinion.label = static_cast<float>(in.real());
  opinion.time = in.i64();
  opinion.other = static_cast<float>(in.real());
  if (opinion.has_label()) opinion.by = names.number(in.text());
  if (!opinion.has_other()) return opinion;
  opinion.other_time = in.i64();
  opinion.other_by = names.number(in.text());
  return opinion;
}

}  // namespace heddle::watch
