#include "draft/draft.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "doc/json.hpp"

namespace heddle::draft {

std::string plain_name(std::string_view text, std::string_view fallback) {
  std::string out;
  for (const char raw : text) {
    const auto c = static_cast<unsigned char>(raw);
    if (c < 0x80 && std::isalnum(c) != 0)
      out += static_cast<char>(std::tolower(c));
    else if (!out.empty() && out.back() != '_')
      out += '_';
    if (out.size() == 60) break;
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  if (out.empty()) return std::string(fallback);
  // An expression takes no name that begins with a digit.
  return std::isdigit(static_cast<unsigned char>(out.front())) != 0 ? "n" + out : out;
}

std::string quoted(std::string_view text) { return doc::to_json(doc::Value(text)); }

std::string in_expression(const std::string& name) {
  const bool is_word = !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
                       std::all_of(name.begin(), name.end(), [](unsigned char c) {
                         return c < 0x80 && (std::isalnum(c) != 0 || c == '_');
                       });
  const bool is_taken = name == "true" || name == "false" || name == "null" || name == "in";
  return is_word && !is_taken ? name : "`" + name + "`";
}

std::string number_of(const profile::Reading& reading) {
  const std::string name = in_expression(reading.name());
  return reading.kind == profile::Kind::kNumberInText ? fmt::format("double({})", name) : name;
}

std::string literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else
      out += c;
  }
  return out + "'";
}

std::string comment(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  return out;
}

Names names_of(const Decisions& decisions, const Project& project) {
  Names out;
  out.rows = plain_name(project.name, "rows");
  out.model = plain_name(decisions.target_column().name(), "model");
  return out;
}

namespace {

/// Where the rows are, and what has to be said of how they are written.
std::string source_of(const Decisions& decisions, const Project& project) {
  std::string paths;
  for (const auto& path : project.source_paths) {
    if (!paths.empty()) paths += ", ";
    paths += quoted(path);
  }
  if (project.source_paths.size() > 1) paths = "[" + paths + "]";
  const table::Form& form = decisions.profile->input.form;
  if (form.empty()) return " " + paths;
  std::string out = "\n    path: " + paths;
  if (form.decimal) out += fmt::format("\n    decimal: {}", quoted(std::string(1, *form.decimal)));
  if (!form.nulls) return out;
  out += "\n    nulls:  # instead of: empty, NULL, null";
  for (const auto& word : *form.nulls) {
    const auto& counts = decisions.profile->nulls;
    const auto found = std::find_if(counts.begin(), counts.end(),
                                    [&](const auto& each) { return each.first == word; });
    out += fmt::format("\n      - {}{}", quoted(word),
                       found == counts.end() ? ""
                                             : fmt::format("  # {} times between numbers or times",
                                                           counted(found->second)));
  }
  return out;
}

std::string draft_root(const Decisions& decisions, const Project& project, const Names& names) {
  std::string out = fmt::format(
      "# Drafted by `heddle init` from {} rows and {} columns. Every line is yours to change; the\n"
      "# comments say what suggested it.\n",
      counted(decisions.profile->rows), counted(std::ssize(decisions.columns)));
  if (!decisions.findings.empty()) {
    out += "#\n# What to look at first:\n";
    for (const Finding& finding : decisions.findings)
      out += fmt::format("#   {}: {}\n", finding.id, comment(finding.text));
  }
  out += fmt::format(
      "apiVersion: heddle/v1\nkind: Project\nname: {}\nowners: [{}]\nsources:\n  {}:{}\n"
      "control_port: {}\n",
      quoted(project.name), quoted(project.person.name), names.rows, source_of(decisions, project),
      project.control_port);
  return out;
}

}  // namespace

std::vector<File> draft_project(const Decisions& decisions, const Project& project) {
  const Names names = names_of(decisions, project);
  std::vector<File> out = {
      {".gitignore", "/.heddle/\n/data/\n"},
      {"contracts/" + names.rows + ".odcs.yaml", draft_contract(decisions, names)},
      {"evaluations/" + names.model + ".yaml", draft_evaluation(decisions, names)},
      {"features/" + names.rows + ".yaml", draft_features(decisions, names)},
      {"heddle.yaml", draft_root(decisions, project, names)},
      {"models/" + names.model + ".yaml", draft_model(decisions, names, project)},
      {"monitors/" + names.model + ".yaml", draft_monitor(decisions, names)},
      {"people.yaml", draft_people(project)},
      {"policies/default.yaml", draft_policy(project)},
      {"request.json", draft_request(decisions)},
      {"services/" + names.model + ".yaml", draft_service(names, project)}};
  if (project.model) {
    out.push_back({"trainers/" + names.model + ".py", draft_trainer(decisions, project)});
    out.push_back({"trainers/" + names.model + ".lock", project.model->lock});
    out.insert(out.end(), project.model->all.begin(), project.model->all.end());
  }
  std::sort(out.begin(), out.end(), [](const File& a, const File& b) { return a.path < b.path; });
  return out;
}

}  // namespace heddle::draft
