// Quasar's field for files is a nameless button around an input: here the input is what has the name and the focus.
window.camcountAdd = {
  name(words) {
    for (const pick of document.querySelectorAll(".drop a[role=button]")) {
      pick.removeAttribute("role");
      pick.removeAttribute("tabindex");
      const input = pick.querySelector("input");
      if (!input) continue;
      input.setAttribute("aria-label", words);
      input.removeAttribute("tabindex");
      input.closest(".drop").classList.add("named");
    }
  },
};
