#include "watch/label_opinion.hpp"

namespace heddle::watch {

void save_opinion(StateWriter& out, const LabelOpinion& opinion, const Names& names) {
  out.put(int{opinion.label});
  out.put(opinion.time);
  out.put(int{opinion.other});
  if (opinion.label >= 0) out.put(names.name(opinion.by));
  if (opinion.other < 0) return;
  out.put(opinion.other_time);
  out.put(names.name(opinion.other_by));
}

LabelOpinion load_opinion(StateReader& in, Names& names) {
  LabelOpinion opinion;
  opinion.label = static_cast<std::int8_t>(in.small());
  opinion.time = in.i64();
  opinion.other = static_cast<std::int8_t>(in.small());
  if (opinion.label >= 0) opinion.by = names.number(in.text());
  if (opinion.other < 0) return opinion;
  opinion.other_time = in.i64();
  opinion.other_by = names.number(in.text());
  return opinion;
}

}  // namespace heddle::watch
