"""The console's pages that show or change device updates. Views translate and delegate; no rule stands here."""
