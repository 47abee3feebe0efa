// What all pages share in the browser: theme and language, remembered for a year.
window.camcount = (() => {
  const remember = (name, value) => {
    document.cookie = `camcount_${name}=${value};path=/;max-age=31536000;samesite=lax`;
  };
  const themes = ["auto", "light", "dark"];
  return {
    nextTheme() {
      const button = document.getElementById("theme-button");
      const theme = themes[(themes.indexOf(button.dataset.theme) + 1) % themes.length];
      button.dataset.theme = document.documentElement.dataset.theme = theme;
      button.title = button.dataset[theme];
      button.setAttribute("aria-label", button.dataset[theme]);
      Quasar.Dark.set(theme === "auto" ? "auto" : theme === "dark");
      remember("theme", theme);
    },
    speak(language) {
      remember("language", language);
      location.reload();
    },
  };
})();
