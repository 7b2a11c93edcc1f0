// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/flame_graph.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>

#include <fmt/format.h>

namespace trialwire::telemetry {
namespace {

constexpr double width = 1'200, margin = 10, box_height = 18, head = 54, foot = 30;
constexpr double letter_width = 6.6;  // of the 11 px monospaced font
constexpr double narrowest_share = 0.001;

struct Node {
  std::string name;
  std::int64_t samples = 0;
  std::map<std::string, std::unique_ptr<Node>> callees;  // sorted: the same picture each time
};

struct Box {
  const Node* node = nullptr;
  double x = 0;
  double w = 0;
  std::size_t level = 0;
};

Node tree_of(const std::vector<NamedStack>& stacks, std::size_t levels_max) {
  Node root{.name = "all"};
  for (const NamedStack& stack : stacks) {
    Node* at = &root;
    at->samples += stack.samples;
    std::size_t level = 1;
    for (const std::string& name : stack.names) {
      if (level++ == levels_max) break;
      auto& next = at->callees[name];
      if (next == nullptr) next = std::make_unique<Node>(Node{.name = name});
      at = next.get();
      at->samples += stack.samples;
    }
  }
  return root;
}

/// Breadth first, so that what is left out are the narrowest and the highest.
std::vector<Box> boxes_of(const Node& root, std::size_t boxes_max) {
  const double whole = width - 2 * margin;
  std::vector<Box> boxes{{&root, margin, whole, 0}};
  if (root.samples <= 0) return boxes;
  const double share = whole / static_cast<double>(root.samples);
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const Box below = boxes[i];
    double x = below.x;
    for (const auto& [name, callee] : below.node->callees) {
      const double w = static_cast<double>(callee->samples) * share;
      if (w >= whole * narrowest_share && boxes.size() < boxes_max)
        boxes.push_back({callee.get(), x, w, below.level + 1});
      x += w;
    }
  }
  return boxes;
}

/// For text and attribute values of XML 1.0, which has no control characters at all.
void append_xml(std::string& to, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        to += "&amp;";
        break;
      case '<':
        to += "&lt;";
        break;
      case '>':
        to += "&gt;";
        break;
      case '"':
        to += "&quot;";
        break;
      default:
        // Names of functions are ASCII; bytes that are not may be no UTF-8.
        to +=
            static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E ? '?' : c;
    }
  }
}

std::string shortened(std::string_view name, double w) {
  const double letters = (w - 6) / letter_width;
  if (letters < 3) return {};
  const auto room = static_cast<std::size_t>(letters);
  if (name.size() <= room) return std::string(name);
  return std::string(name.substr(0, room - 2)) + "..";
}

/// The program's own code is warm, libraries are cool; the shade is the name's.
std::string color_of(std::string_view name, std::size_t level) {
  if (level == 0) return "#d9d9d9";
  if (level == 1) return "#c3cfd9";
  const unsigned shade = static_cast<unsigned>(std::hash<std::string_view>{}(name) % 60);
  if (name.find("trialwire") != std::string_view::npos)
    return fmt::format("rgb({},{},{})", 225 + shade / 3, 120 + shade, 60);
  return fmt::format("rgb({},{},{})", 150 + shade, 185 + shade / 2, 160 + shade / 2);
}

void append_box(std::string& svg, const Box& box, double bottom, std::int64_t all) {
  const double y = bottom - static_cast<double>(box.level + 1) * box_height;
  const double percent =
      all > 0 ? 100 * static_cast<double>(box.node->samples) / static_cast<double>(all) : 0;
  auto out = std::back_inserter(svg);
  fmt::format_to(out, "<g class=\"b\" data-x=\"{:.3f}\" data-w=\"{:.3f}\" data-l=\"{}\"><title>",
                 box.x, box.w, box.level);
  append_xml(svg, box.node->name);
  fmt::format_to(out, " ({} samples, {:.2f}%)</title>", box.node->samples, percent);
  fmt::format_to(
      out, "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"/>", box.x, y,
      std::max(box.w - 0.5, 0.3), box_height - 1, color_of(box.node->name, box.level));
  fmt::format_to(out, "<text x=\"{:.2f}\" y=\"{:.1f}\">", box.x + 3, y + box_height - 6);
  append_xml(svg, shortened(box.node->name, box.w));
  svg += "</text></g>\n";
}

constexpr std::string_view style =
    "text{font:11px monospace;fill:#1b1b1b;pointer-events:none}"
    ".h{font:600 16px sans-serif}.s{font:12px sans-serif;fill:#555}"
    ".b{cursor:pointer}.b:hover rect{stroke:#1b1b1b;stroke-width:1}.past rect{opacity:.5}";

/// Boxes carry place and width as they were drawn. Names come from the document's own titles, and
/// go back as text, never as markup.
constexpr std::string_view script = R"(
(function () {
  'use strict';
  var left = 10, whole = 1180, letter = 6.6;
  var boxes = Array.prototype.slice.call(document.querySelectorAll('.b'));
  var detail = document.getElementById('detail');
  function number(box, key) { return parseFloat(box.getAttribute('data-' + key)); }
  function name(box) { return box.querySelector('title').textContent; }
  function place(box, x, w) {
    var rect = box.querySelector('rect'), text = box.querySelector('text');
    var label = name(box).replace(/ \(\d+ samples, [\d.]+%\)$/, '');
    var room = Math.floor((w - 6) / letter);
    rect.setAttribute('x', x);
    rect.setAttribute('width', Math.max(w - 0.5, 0.3));
    text.setAttribute('x', x + 3);
    if (room < 3) label = '';
    text.textContent = label.length <= room ? label : label.slice(0, room - 2) + '..';
  }
  function zoom(to) {
    var x = number(to, 'x'), w = number(to, 'w'), level = number(to, 'l'), slack = 0.002;
    boxes.forEach(function (box) {
      var bx = number(box, 'x'), bw = number(box, 'w'), bl = number(box, 'l');
      var under = bl <= level && bx <= x + slack && bx + bw >= x + w - slack;
      var above = bl > level && bx >= x - slack && bx + bw <= x + w + slack;
      box.style.display = under || above ? '' : 'none';
      box.classList.toggle('past', under && bl < level);
      if (under) place(box, left, whole);
      if (above) place(box, left + (bx - x) / w * whole, bw / w * whole);
    });
  }
  boxes.forEach(function (box) {
    box.addEventListener('click', function () { zoom(box); });
    box.addEventListener('mouseenter', function () { detail.textContent = name(box); });
    box.addEventListener('mouseleave', function () { detail.textContent = ''; });
  });
})();
)";

}  // namespace

std::vector<NamedStack> named_stacks(const Profile& profile, Symbols& symbols) {
  std::vector<NamedStack> stacks;
  for (const ProfileSample& sample : profile.samples) {
    NamedStack stack{.names = {}, .samples = sample.count};
    if (!sample.thread.empty()) stack.names.push_back(sample.thread);
    for (std::size_t i = sample.frames.size(); i-- > 0;) {
      const std::uintptr_t address = sample.frames[i] - (i == 0 ? 0 : 1);
      // The outermost may be none, where a library's register was taken for a frame.
      if (symbols.mapping_of(address)) stack.names.emplace_back(symbols.group(address));
    }
    if (sample.frames.empty()) stack.names.emplace_back("[takes no signals]");
    stacks.push_back(std::move(stack));
  }
  return stacks;
}

std::string flame_graph_svg(const std::vector<NamedStack>& stacks,
                            const FlameGraphOptions& options) {
  const Node root = tree_of(stacks, options.levels_max);
  const std::vector<Box> boxes = boxes_of(root, options.boxes_max);
  std::size_t levels = 1;
  for (const Box& box : boxes) levels = std::max(levels, box.level + 1);
  const double bottom = head + static_cast<double>(levels) * box_height;
  const double height = bottom + foot;
  std::string svg = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\">\n<style>{2}</style>\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#fdfdfb\"/>\n<text class=\"h\" x=\"{3}\" "
      "y=\"24\">",
      width, height, style, margin);
  append_xml(svg, options.title);
  fmt::format_to(std::back_inserter(svg), "</text>\n<text class=\"s\" x=\"{}\" y=\"42\">", margin);
  append_xml(svg, options.subtitle);
  svg += "</text>\n";
  for (const Box& box : boxes) append_box(svg, box, bottom, root.samples);
  fmt::format_to(std::back_inserter(svg),
                 "<text id=\"detail\" class=\"s\" x=\"{}\" y=\"{:.1f}\"> </text>\n"
                 "<script><![CDATA[{}]]></script>\n</svg>\n",
                 margin, bottom + 20, script);
  return svg;
}

}  // namespace trialwire::telemetry
